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
    /// Asks the other nodes; `nil`: there are none.
    let exchange: RightsExchange?

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
        let change = TopicChange(stream: try context.parameters.require("name"), add: added, remove: removed)
        if let json = try await change.make(on: hub, for: grant) { return .json(json) }
        if let json = try await exchange?.change(change, for: grant) { return .json(json) }
        throw Problem(
            .notFound, "There is no such stream of yours. Open one with control=1; its first event says its name.")
    }

    private func topics(_ name: String, in query: FormFields, _ form: FormFields) throws -> [Topic] {
        try (query.values(name) + form.values(name)).map { try Topic($0) }
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
