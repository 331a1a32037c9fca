// SPDX-License-Identifier: Apache-2.0

import AsyncHTTPClient
import EventStream
import Foundation
import MartletHTTP
import ServiceLifecycle

/// Asks a language model, and appends each answer to a topic of the hub while it grows.
actor Answers: Service {
    private struct NoAnswer: Error {}

    private let hub: Hub
    private let model: String
    /// The newest questions, in their order.
    private var ids: [String] = []
    private var generations: [String: Task<Void, any Error>] = [:]

    init(in hub: Hub, by model: String) {
        self.hub = hub
        self.model = model
    }

    static func topic(_ id: String) throws -> Topic { try Topic("answers/\(id)") }

    func knows(_ id: String) -> Bool { generations[id] != nil }

    /// Returns the id of the answer. The answer grows whether or not a page reads it.
    func ask(_ question: String) async throws -> String {
        let id = UUID().uuidString
        let topic = try Self.topic(id)
        try await hub.publish(question, to: topic, type: "question")
        let generation = Task { try await append(answerTo: question, to: topic) }
        ids.append(id)
        generations[id] = generation
        if ids.count > 1000 { generations[ids.removeFirst()] = nil }
        Task { try await close(topic, after: generation) }
        return id
    }

    /// Stops the model. What it has said stays.
    func stop(_ id: String) { generations[id]?.cancel() }

    /// Passes on what the model says, token by token.
    private func append(answerTo question: String, to topic: Topic) async throws {
        var request = HTTPClientRequest(url: model)
        request.method = .POST
        request.headers.add(name: "Content-Type", value: "application/json")
        let body = ChatRequest(model: "scripted", messages: [.init(role: "user", content: question)], stream: true)
        request.body = .bytes(try JSONEncoder().encode(body))
        let response = try await HTTPClient.shared.execute(request, timeout: .minutes(10))
        guard response.status == .ok else { throw NoAnswer() }
        var parser = EventStreamParser()
        for try await part in response.body {
            var events: [Event] = []
            for case .event(let event) in try parser.parse(part.readableBytesView) {
                guard let data = event.data, data != "[DONE]" else {
                    try await hub.publish(contentsOf: events)
                    return
                }
                let chunk = try JSONDecoder().decode(ChatChunk.self, from: Data(data.utf8))
                guard let token = chunk.choices.first?.delta.content, !token.isEmpty else { continue }
                events.append(Event(topic: topic, data: token))
            }
            try await hub.publish(contentsOf: events)
        }
        throw NoAnswer()  // it broke off
    }

    /// Ends the topic with the answer, however that ends. Pages that have everything do not come back.
    private func close(_ topic: Topic, after generation: Task<Void, any Error>) async throws {
        let outcome =
            switch await generation.result {
            case .success: "complete"
            case .failure where generation.isCancelled: "stopped"
            case .failure: "failed"
            }
        try await hub.publish(outcome, to: topic, type: "outcome")
        try await hub.close(topic)
    }

    func run() async {
        try? await gracefulShutdown()
        for generation in generations.values { generation.cancel() }
    }
}
