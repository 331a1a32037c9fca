// SPDX-License-Identifier: Apache-2.0

import HTTPTypes
import Hummingbird
import Martlet
import MartletSupport
import NIOCore

/// Answers with a page of history, and removes the history of a topic.
struct HistoryRoute<Context: EventStreamRequestContext>: Sendable {
    let hub: Hub
    let access: Access<Context>

    static var root: String { "/history" }

    /// One JSON object a line.
    func read(_ message: Request, context: Context) async throws -> Response {
        let request = HubRequest(message, on: context.channel)
        let grant = try await access.grant(for: request, context: context, to: .subscribe)
        let topics = try request.topicSelectors(behind: Self.root)
        try grant.checkSubscribing(to: topics)
        let query = try HistoryQuery(request, limits: hub.configuration.limits)
        let selection = Selection(selectors: topics, grants: grant.subscribe)
        // HEAD has no use for events that come later.
        let patience = message.method == .head ? .zero : query.patience
        let terms = try terms(of: grant, for: request, waiting: patience > .zero)
        let page = try await unlessUnavailable(context.logger) {
            try await message.whileConnected(waiting: patience > .zero) {
                // On an event loop, a long search would hold up others.
                try await withTaskExecutorPreference(globalConcurrentExecutor) {
                    try await hub.history(
                        of: selection, after: query.id, limit: query.limit, waiting: patience, terms: terms)
                }
            }
        }
        var headers: HTTPFields = [
            .contentType: "application/x-ndjson", .cacheControl: "no-store", .lastEventID: page.end.text,
        ]
        // To notice that the client leaves, the connection was read to its end.
        if patience > .zero, Connection.current != nil { headers[.connection] = "close" }
        headers[.gap] = page.gap?.rawValue
        headers[.end] = page.ended.header
        if page.hasMore { headers[.link] = "<\(request.target(behind: page.end))>; rel=\"next\"" }
        return Response(status: .ok, headers: headers, body: ResponseBody(byteBuffer: page.lines))
    }

    /// While it waits, the request counts as a stream.
    private func terms(of grant: Grant, for request: HubRequest, waiting: Bool) throws -> LeaseTerms {
        guard waiting else { return grant.terms(name: try request.streamName, companion: nil) }
        do {
            return try hub.terms(of: grant, for: request)
        } catch let refusal as ClientRefusal {
            hub.clientRefused(refusal)
            throw Problem(refusal)
        }
    }

    /// Removes the history of the topic that the path names, for clients that may publish to it.
    func remove(_ message: Request, context: Context) async throws -> Response {
        let request = HubRequest(message, on: context.channel)
        let grant = try await access.grant(for: request, context: context, to: .publish)
        guard let topic = try request.topic(behind: Self.root), try request.query.values("topic").isEmpty else {
            throw Problem(.badRequest, "Name one topic, in the path: DELETE /history/{topic}.", field: "topic")
        }
        try grant.checkPublishing(to: topic)
        try hub.spend(on: [.purge(of: topic)], by: request.client(grant))
        _ = try await unlessUnavailable(context.logger) { try await hub.purge(topic) }
        return Response(status: .noContent, headers: [.cacheControl: "no-store"])
    }
}

/// `?after=…&limit=…&wait=…`
private struct HistoryQuery {
    /// `nil`: from the beginning.
    let id: String?
    let limit: Int
    let patience: Duration

    private static let longestPatience = 60_000

    init(_ request: HubRequest, limits: Limits) throws(Problem) {
        let query = try request.query
        let last = try request.lastEventID
        // As with streams, the header wins.
        id = last?.parameter == nil ? last?.id ?? query.text("after") : query.text("after") ?? last?.id
        if let text = query.values("limit").first {
            guard text.utf8.allSatisfy(\.isDigit), let limit = Int(text), (1...limits.eventsPerPage).contains(limit)
            else {
                throw Problem(
                    .badRequest, "The limit is not a number from 1 to \(limits.eventsPerPage).", field: "limit")
            }
            self.limit = limit
        } else {
            limit = min(100, limits.eventsPerPage)
        }
        if let text = query.values("wait").first {
            guard text.utf8.last?.isDigit == false, let time = UnitScale.milliseconds.parse(text),
                (0...Self.longestPatience).contains(time)
            else {
                throw Problem(
                    .badRequest, "The wait is not a duration of up to 60s. Write wait=20s (ms, s, m).", field: "wait")
            }
            patience = .milliseconds(time)
        } else {
            patience = .zero
        }
    }
}

extension HTTPField.Name {
    fileprivate static let link = HTTPField.Name("Link")!
}

extension HubRequest {
    /// The target of the next page. Credentials stay out of it: it may end up in logs.
    fileprivate func target(behind position: Position) -> String {
        let parameters = [
            "after", "wait", "lastEventID", "last_event_id", "Last-Event-ID", "ticket", Self.tokenParameter,
        ]
        let target = target(without: parameters)
        let separator = target.utf8.contains(UInt8(ascii: "?")) ? "&" : "?"
        return "\(target.safeInLink)\(separator)after=\(position.text.percentEncoded)"
    }
}

extension String {
    /// The target without bytes that could end it inside of `<…>` (RFC 8288 section 3).
    fileprivate var safeInLink: String {
        var bytes: [UInt8] = []
        for byte in utf8 {
            let isSafe = (0x21...0x7E).contains(byte) && !"<>\"".utf8.contains(byte)
            bytes += isSafe ? [byte] : Array("%\(byte.hexText)".utf8)
        }
        return String(decoding: bytes, as: UTF8.self)
    }
}

extension Request {
    /// Does something; where it waits, not for longer than the client stays.
    fileprivate func whileConnected<Value: Sendable>(
        waiting: Bool, _ body: @Sendable @escaping () async throws -> Value
    ) async throws -> Value {
        // The body of a request that asks for an answer before it is sent is not as it was received.
        guard waiting, !headers.contains(.expect) else { return try await body() }
        return try await self.body.consumeWithCancellationOnInboundClose { _ in try await body() }
    }
}

extension HistoryPage {
    /// One object a line, with the fields that a batch has (see ``EventBatch``).
    fileprivate var lines: ByteBuffer {
        var bytes = ByteBuffer()
        for item in items {
            let event = item.event
            bytes.writeString(#"{"topic":\#(item.topic.name.jsonQuoted),"data":\#(event.data.jsonQuoted)"#)
            bytes.writeString(#","id":\#(item.id.jsonQuoted)"#)
            if let type = event.type { bytes.writeString(#","type":\#(type.jsonQuoted)"#) }
            if let retry = event.retry { bytes.writeString(#","retry":\#(retry)"#) }
            if let key = event.key { bytes.writeString(#","key":\#(key.jsonQuoted)"#) }
            if event.isPrivate { bytes.writeString(#","private":true"#) }
            bytes.writeStaticString("}\n")
        }
        return bytes
    }
}
