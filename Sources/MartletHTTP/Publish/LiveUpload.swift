// SPDX-License-Identifier: Apache-2.0

import HTTPTypes
import Hummingbird
import Logging
import Martlet
import MartletSupport
import NIOCore

/// How much of a live upload the log has accepted.
package struct LiveProgress: Hashable, Sendable {
    /// How many events.
    package var count = 0
    /// The id that resumes behind them; `nil` if there are none.
    package var lastEventID: String?
}

/// Publishes the events of a request while its body comes.
///
/// The events that came together are published together. No more of the body is read until they are accepted. An error
/// ends the upload: what was accepted before stays.
struct LiveUpload {
    let hub: Hub
    let grant: Grant
    let fields: EventFields
    /// The topic that the path names; `nil` if each event names its own.
    let topic: Topic?
    /// The idempotency key. Event n of the upload takes effect once, however often the upload is repeated from its start.
    let key: String?
    /// Holds the sender while it is above its limits.
    let pace: UploadPace
    let logger: Logger

    private var progress = LiveProgress()

    /// How long to hold the sender while the hub cannot keep up.
    private static let patience = Duration.seconds(30)

    init(
        _ hub: Hub, _ topic: Topic?, _ fields: EventFields, _ grant: Grant, key: String?, client: ClientIdentity,
        _ logger: Logger
    ) {
        pace = UploadPace(hub: hub, client: client)
        self.hub = hub
        self.topic = topic
        self.fields = fields
        self.grant = grant
        self.key = key
        self.logger = logger
    }

    /// Publishes what the body has, to its end.
    ///
    /// - Throws: ``Problem`` with what was accepted.
    mutating func run(_ body: RequestBody, _ reader: consuming LiveBody) async throws -> Response {
        do {
            let end = grant.instantOfEnd
            var chunks = body.makeAsyncIterator()
            while let chunk = try await Self.next(of: &chunks) {
                try Self.checkTime(end)
                try await publish(await reader.read(chunk.readableBytesView))
                if let problem = reader.problem { throw problem }
            }
            try Self.checkTime(end)
            try await publish(await reader.finish())
            if let problem = reader.problem { throw problem }
            if fields.closes, let topic { try await close(topic) }
            return answer
        } catch {
            guard var problem = error as? Problem ?? (error as? MartletError).map({ Problem($0) }) else { throw error }
            problem.accepted = progress
            throw problem
        }
    }

    private static func next(of chunks: inout RequestBody.AsyncIterator) async throws -> ByteBuffer? {
        do {
            return try await chunks.next()
        } catch let problem as Problem {
            throw problem
        } catch is CancellationError {
            throw CancellationError()
        } catch {
            throw Problem(.badRequest, "The connection ended inside the request.")
        }
    }

    private static func checkTime(_ end: ContinuousClock.Instant?) throws(Problem) {
        guard let end, end <= .now else { return }
        throw Problem(
            .unauthorized, "The credentials of the upload have expired. Send the rest with new ones.",
            headers: [.wwwAuthenticate: #"Bearer error="invalid_token""#])
    }

    // MARK: Publishing

    private mutating func publish(_ events: [Event]) async throws {
        var events = events
        for index in events.indices {
            fields.add(to: &events[index])
            do { try grant.checkPublishing(events[index]) } catch {
                try await append(Array(events[..<index]))
                throw error
            }
        }
        try await append(events)
    }

    private mutating func append(_ events: [Event]) async throws {
        var rest = events[...]
        while !rest.isEmpty {
            let part = Array(rest.prefix(pace.mostEvents))
            rest = rest.dropFirst(part.count)
            try await pace.wait(for: part)
            try await appendAtOnce(part)
        }
    }

    private mutating func appendAtOnce(_ events: [Event]) async throws {
        guard key == nil, events.count > 1 else { return try await appendEach(events) }
        do {
            note(events.count, try await publishPatiently(events, once: nil))
        } catch let error as MartletError where Self.refusals.contains(error.code) {
            // Those before the refused one are accepted, as if they had come alone.
            try await appendEach(events)
        }
    }

    /// The errors that say of an event that nothing was done.
    private static let refusals: Set<MartletError.Code> = [.topicEnded, .writerReplaced, .tooLarge, .invalidID]

    private mutating func appendEach(_ events: [Event]) async throws {
        for event in events {
            note(1, try await publishPatiently([event], once: key.map { _ in "\(progress.count + 1)" }))
        }
    }

    private mutating func note(_ count: Int, _ ids: [String]) {
        progress.count += count
        progress.lastEventID = ids.last ?? progress.lastEventID
    }

    private func publishPatiently(_ events: [Event], once number: String?) async throws -> [String] {
        let end = ContinuousClock.now + Self.patience
        while true {
            do {
                return try await unlessUnavailable(logger) {
                    try await hub.publish(contentsOf: events, once: number, in: scope)
                }
            } catch let error as MartletError where error.code == .overloaded && ContinuousClock.now < end {
                // Nothing was published. The sender waits, as it would for a slower network.
                try await Task.sleep(for: .milliseconds(50))
            }
        }
    }

    /// Scopes the numbers of the events to the upload. No scope of a principal begins like it, and a key has no line feed.
    private var scope: String? { key.map { "live\n\(grant.keyScope)\n\($0)" } }

    private mutating func close(_ topic: Topic) async throws {
        let end = fields.end(of: topic)
        try grant.checkPublishing(end)
        try await pace.wait(for: [end])
        progress.lastEventID = try await publishPatiently([end], once: nil).last
    }

    // MARK: The answer

    private var answer: Response {
        let id = progress.lastEventID?.jsonQuoted ?? "null"
        let json = #"{"lastEventID":\#(id),"count":\#(progress.count),"closed":\#(fields.closes)}"#
        return Response(
            status: .ok, headers: [.contentType: "application/json", .cacheControl: "no-store"],
            body: ResponseBody(byteBuffer: ByteBuffer(string: json + "\n")))
    }
}

extension PublishRoute {
    /// Publishes the body while it comes.
    ///
    /// - Parameter topic: `nil`: each line names its own.
    func live(
        _ message: Request, _ request: HubRequest, _ topic: Topic?, _ fields: EventFields, _ grant: Grant,
        _ logger: Logger
    ) async throws -> Response {
        try fields.checkLive()
        let key = try request.idempotencyKey
        let limits = hub.configuration.limits
        try limits.check(idempotencyKey: key)
        let format = try Self.format(request, hasTopic: topic != nil)
        // Refused before the body is read, where that is possible.
        if let topic { try grant.checkPublishing(Event(topic: topic, data: "")) }
        let reader = LiveBody(
            format, of: topic ?? "/", limits: limits, maximumObjectBytes: maximumBodyBytes)
        Connection.current?.allowPauses()
        var upload = LiveUpload(
            hub, topic, fields, grant, key: key, client: request.client(grant), logger)
        return try await upload.run(message.body, reader)
    }

    private static func format(_ request: HubRequest, hasTopic: Bool) throws(Problem) -> LiveBody.Format {
        switch request.mediaType {
        case "application/x-ndjson": return hasTopic ? .lines : .objects
        case "text/event-stream" where hasTopic: return .eventStream
        default:
            let types = hasTopic ? "text/event-stream or application/x-ndjson" : "application/x-ndjson"
            throw Problem(.unsupportedMediaType, "A live upload is \(types) here.", field: "Content-Type")
        }
    }

    /// Some clients send a body of unknown length with PUT.
    func put(_ message: Request, context: Context) async throws -> Response {
        let request = HubRequest(message, on: context.channel)
        guard try request.query.all.contains(where: { $0.name.isExactly("live") }) else {
            throw Problem(
                .methodNotAllowed, "PUT is possible with live=1 only. Publish with POST.",
                headers: [.allow: "GET, HEAD, OPTIONS, POST"])
        }
        return try await respond(to: message, context: context)
    }
}

extension EventFields {
    /// Refuses the fields of a single event on an upload of many.
    fileprivate func checkLive() throws(Problem) {
        let field = id.map { _ in "id" } ?? retry.map { _ in "retry" }
        guard let field else { return }
        throw Problem(.badRequest, "A live upload has no \(field). Write it into its events.", field: field)
    }

    /// Adds what the request says of each event. Its type is that of events without one.
    fileprivate func add(to event: inout Event) {
        if event.type == nil { event.type = type }
        if let key { event.key = key }
        addLife(to: &event)
    }
}
