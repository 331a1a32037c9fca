// SPDX-License-Identifier: Apache-2.0

import EventStream
import HTTPTypes
import Hummingbird
import Martlet
import MartletSupport

/// Changes the topics of an open stream that was asked for with `?control=1`: `POST /streams/{name}/topics`.
///
/// The name is the first event of the stream. It is a random text of 128 bits, and no other stream has it, also not the one
/// that its client opens when it comes back. So who has it can change the stream, if it may subscribe to its topics and is
/// its principal.
struct StreamTopics<Context: EventStreamRequestContext>: Sendable {
    let hub: Hub
    let access: Access<Context>

    /// The largest body. The limits of topics allow for less.
    private static var mostBytes: Int { 1024 * 1024 }

    func respond(_ message: Request, context: Context) async throws -> Response {
        let request = HubRequest(message, on: context.channel)
        let grant = try await access.grant(for: request, context: context, to: .subscribe)
        let limit = hub.configuration.limits.topicsPerSubscription
        let form = try FormFields(
            try await message.body(upTo: Self.mostBytes).readableBytesView, maximumCount: 2 * limit + 1)
        let added = try topics("add", in: try request.query, form)
        let removed = try topics("remove", in: try request.query, form)
        guard !added.isEmpty || !removed.isEmpty else {
            throw Problem(
                .badRequest, "Name topics to add or to remove: add=prices/eur&remove=prices/usd.", field: "add")
        }
        if let both = added.first(where: removed.contains) {
            throw Problem(.badRequest, "\(both) is to be added and to be removed. Decide on one.", field: "add")
        }
        let stream: ChangedStream
        do {
            stream = try await hub.change(
                try context.parameters.require("name"), of: grant.principal, until: grant.instantOfEnd
            ) { selection in
                let topics = selection.selectors.union(added).subtracting(removed)
                guard !topics.isEmpty else {
                    throw Problem(
                        .conflict, "No topic would be left. Close the stream, or add another topic.", field: "remove")
                }
                try grant.checkSubscribing(to: topics)
                return Selection(selectors: topics, grants: grant.subscribe)
            }
        } catch let error as StreamChangeError {
            throw Problem(error)
        }
        return .json(of: stream)
    }

    private func topics(_ name: String, in query: FormFields, _ form: FormFields) throws -> Set<TopicSelector> {
        Set(try (query.values(name) + form.values(name)).map { TopicSelector(try Topic($0)) })
    }
}

extension ServerSentEvent {
    /// The type of the event that says the name under which its stream can be changed.
    private static let controlType = "control"

    /// Says the name of a stream. It has no id, so the client resumes as it would without.
    static func control(_ name: String) -> ServerSentEvent {
        ServerSentEvent(event: controlType, data: #"{"stream":"\#(name)"}"#)
    }
}

extension HubRequest {
    /// Whether the topics of the stream can be changed while it is open (`?control=1`).
    ///
    /// - Throws: ``Problem`` of status 400 if it says something else, or the query is malformed.
    var wantsControl: Bool {
        get throws(Problem) {
            let values = try query.values("control")
            guard values.allSatisfy({ $0.isExactly("1") }) else {
                throw Problem(.badRequest, "There is only control=1. Leave it out otherwise.", field: "control")
            }
            return !values.isEmpty
        }
    }
}

extension Problem {
    fileprivate init(_ error: StreamChangeError) {
        let later: HTTPFields = [.retryAfter: "1"]
        switch error {
        case .ended:
            self.init(
                .notFound,
                "There is no such stream of yours on this node. Open one with control=1; its first event says its name."
            )
        case .beginning:
            self.init(.serviceUnavailable, "The stream is still sent its first values. Try again.", headers: later)
        case .tooMany:
            self.init(.serviceUnavailable, "Too many changes of the stream wait. Try again.", headers: later)
        }
    }
}

extension Response {
    fileprivate static func json(of stream: ChangedStream) -> Response {
        func list(_ topics: [String]) -> String { "[\(topics.sorted().map(\.jsonQuoted).joined(separator: ","))]" }
        let topics = list(stream.selection.selectors.map(\.text))
        let ended = list(stream.ended.topics.map(\.name))
        return .json(#"{"topics":\#(topics),"after":\#(stream.position.text.jsonQuoted),"ended":\#(ended)}"#)
    }
}
