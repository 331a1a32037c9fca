// SPDX-License-Identifier: Apache-2.0

import HTTPTypes
import Hummingbird
import Martlet
import MartletSupport
import NIOCore
import Synchronization

/// Answers with the current value of each key as one JSON document.
struct StateRoute<Context: EventStreamRequestContext>: Sendable {
    let hub: Hub
    let access: Access<Context>
    private let large: LargeDocuments

    static var root: String { "/state" }

    init(hub: Hub, access: Access<Context>) {
        self.hub = hub
        self.access = access
        large = LargeDocuments(capacity: hub.configuration.concurrentReads)
    }

    func respond(_ message: Request, context: Context) async throws -> Response {
        let request = HubRequest(message, on: context.channel)
        let grant = try await access.grant(for: request, context: context, to: .subscribe)
        let topics = try request.topicSelectors(behind: Self.root)
        try grant.checkSubscribing(to: topics)
        let selection = Selection(selectors: topics, grants: grant.subscribe)
        let state = try await unlessUnavailable(context.logger) {
            // On an event loop, many values would hold up others.
            try await withTaskExecutorPreference(globalConcurrentExecutor) { try await hub.state(of: selection) }
        }
        let isPersonal = grant.isPersonal || request.hasCredentials
        let tag = "W/\"\(state.version.hexText)\""
        var headers: HTTPFields = [
            .contentType: "application/json", .cacheControl: isPersonal ? "private, no-cache" : "no-cache", .eTag: tag,
            .lastEventID: state.lastEventID,
        ]
        headers[.end] = state.ended.header
        if request.hasSeen(tag) {
            headers[.contentType] = nil
            return Response(status: .notModified, headers: headers)
        }
        let isOneTopic = try request.topic(behind: Self.root) != nil && topics.count == 1
        let document = isOneTopic ? StateDocument(ofOneTopic: state) : StateDocument(ofSeveralTopics: state)
        guard document.isLarge else {
            return Response(status: .ok, headers: headers, body: ResponseBody(byteBuffer: document.all))
        }
        let place = try large.enter()
        return Response(
            status: .ok, headers: headers,
            body: ResponseBody { writer in
                defer { withExtendedLifetime(place) {} }
                for piece in document { try await writer.write(piece) }
                try await writer.finish(nil)
            })
    }
}

extension HubRequest {
    /// Whether the client has the document with this weak tag (RFC 9110 section 13.1.2).
    fileprivate func hasSeen(_ tag: String) -> Bool {
        let opaque = tag.cutting(prefix: "W/") ?? tag[...]
        return headers[values: .ifNoneMatch].lazy.flatMap { $0.splitExactly(at: UInt8(ascii: ",")) }.contains { seen in
            let seen = seen.trimmingBlanks
            return seen.isExactly("*") || (String(seen).cutting(prefix: "W/") ?? seen).isExactly(opaque)
        }
    }
}

/// Values as JSON, in pieces: `{"lastEventID":"…","values":{KEY:{"data":…,"type":…}}}` for one topic, and for several
/// `{"lastEventID":"…","values":[{"topic":…,"key":…,"data":…,"type":…}]}`.
private struct StateDocument: Sequence, Sendable {
    private let values: [CurrentValue]
    private let lastEventID: String
    private let isOneTopic: Bool
    private let byteCount: Int

    private static let pieceBytes = 64 * 1024

    init(ofOneTopic state: CurrentState) {
        // A key may be there under several topics, by which events have this one as an alternate.
        var places: [ExactText: Int] = [:]
        for (place, value) in state.values.enumerated() { places[ExactText(value.key)] = place }
        let newest =
            places.count == state.values.count
            ? state.values
            : state.values.enumerated().filter { places[ExactText($1.key)] == $0 }.map(\.element)
        self.init(newest, state.lastEventID, isOneTopic: true)
    }

    init(ofSeveralTopics state: CurrentState) { self.init(state.values, state.lastEventID, isOneTopic: false) }

    private init(_ values: [CurrentValue], _ lastEventID: String, isOneTopic: Bool) {
        self.values = values
        self.lastEventID = lastEventID
        self.isOneTopic = isOneTopic
        byteCount = values.reduce(0) { sum, value in
            sum + value.data.utf8.count + value.key.utf8.count + value.topic.name.utf8.count
                + (value.type?.utf8.count ?? 0) + 64
        }
    }

    /// Whether it is better written in pieces.
    var isLarge: Bool { byteCount > 4 * Self.pieceBytes }

    var all: ByteBuffer {
        var all = ByteBuffer()
        for var piece in self { all.writeBuffer(&piece) }
        return all
    }

    func makeIterator() -> Iterator { Iterator(document: self) }

    struct Iterator: IteratorProtocol {
        fileprivate let document: StateDocument
        private var place = 0
        private var isOver = false

        fileprivate init(document: StateDocument) { self.document = document }

        mutating func next() -> ByteBuffer? {
            guard !isOver else { return nil }
            var bytes = ByteBuffer()
            if place == 0 {
                let open = document.isOneTopic ? "{" : "["
                bytes.writeString(#"{"lastEventID":\#(document.lastEventID.jsonQuoted),"values":\#(open)"#)
            }
            while place < document.values.count, bytes.readableBytes < StateDocument.pieceBytes {
                if place > 0 { bytes.writeStaticString(",") }
                document.write(document.values[place], to: &bytes)
                place += 1
            }
            if place == document.values.count {
                bytes.writeString(document.isOneTopic ? "}}\n" : "]}\n")
                isOver = true
            }
            return bytes
        }
    }

    private func write(_ value: CurrentValue, to bytes: inout ByteBuffer) {
        let key = value.key.jsonQuoted
        bytes.writeString(isOneTopic ? "\(key):{" : #"{"topic":\#(value.topic.name.jsonQuoted),"key":\#(key),"#)
        bytes.writeString(#""data":\#(value.data.jsonQuoted),"id":\#(value.id.jsonQuoted)"#)
        if let type = value.type { bytes.writeString(#","type":\#(type.jsonQuoted)"#) }
        bytes.writeStaticString("}")
    }
}

/// Bounds the documents that are kept in memory until their clients have taken them.
private final class LargeDocuments: Sendable {
    private let capacity: Int
    private let count = Mutex(0)

    init(capacity: Int) { self.capacity = Swift.max(1, capacity) }

    /// - Throws: ``Problem`` of status 503 if there are enough.
    func enter() throws(Problem) -> Place {
        let isFree = count.withLock { count in
            guard count < capacity else { return false }
            count += 1
            return true
        }
        guard isFree else {
            throw Problem(
                .serviceUnavailable, "Other clients receive large states. Try again later.",
                headers: [.retryAfter: "1"])
        }
        return Place(self)
    }

    final class Place: Sendable {
        private let documents: LargeDocuments

        fileprivate init(_ documents: LargeDocuments) { self.documents = documents }

        deinit { documents.count.withLock { $0 -= 1 } }
    }
}
