// SPDX-License-Identifier: Apache-2.0

package import EventStream
import MartletSupport
package import NIOCore
import Synchronization

/// An event as its subscribers receive it: immutable, shared, and encoded when the first of them needs it.
final class Frame: Sendable {
    let record: Record
    /// Whether it is in no log, and its position is that of the event before it.
    let isAnnounced: Bool
    /// When this node had read it from the log.
    let time: ContinuousClock.Instant
    private let encoded = Mutex<WireBytes?>(nil)
    private let superseded = Atomic(false)

    init(_ record: Record, time: ContinuousClock.Instant = .now, isAnnounced: Bool = false) {
        self.record = record
        self.isAnnounced = isAnnounced
        expires = record.event.expires
        self.time = time
        var data = record.event.data
        let lineEnds = data.withUTF8 { $0.count { $0 == 0x0A || $0 == 0x0D } }
        byteCount = record.event.byteCount + lineEnds * "data: ".utf8.count
    }

    /// Whether cursors pass over it: a newer value of the same key is in its feeds, or it has expired.
    var isSkipped: Bool { superseded.load(ordering: .relaxed) || expires.map { $0 <= .now } ?? false }
    private let expires: WallTime?

    func supersede() { superseded.store(true, ordering: .relaxed) }

    /// The size of the frame in the window: the event, and the field names of its lines once it is encoded.
    let byteCount: Int

    var bytes: WireBytes {
        encoded.withLock { encoded in
            if let encoded { return encoded }
            let bytes = WireBytes(record)
            encoded = bytes
            return bytes
        }
    }
}

extension WireBytes {
    /// The event of a record with the id that resumes after it.
    init(_ record: Record) {
        let event = record.event
        if event.purgesTopic {
            self = .gap(Gap(reason: .purged, from: record.position))
            return
        }
        if event.endsTopic {
            self = .make(
                ServerSentEvent(event: TopicEnd.eventType, data: TopicEnd(record).json, id: record.position.text))
            return
        }
        do {
            try self.init(ServerSentEvent(event: event.type, data: event.data, id: record.id, retry: event.retry))
        } catch {
            // The hub checks what it publishes; a log that others write to may hold anything. The data can always be sent.
            self = .unnamed(event.data, at: record.position)
        }
    }

    /// The event of a value that a newcomer receives before the id of the place where the stream goes on.
    init(valueOf record: Record) {
        let event = record.event
        guard !event.endsTopic else {
            self = .make(ServerSentEvent(event: TopicEnd.eventType, data: TopicEnd(record).json))
            return
        }
        self =
            (try? WireBytes(ServerSentEvent(event: event.type, data: event.data, retry: event.retry)))
            ?? .unnamed(event.data, at: nil)
    }

    private static func unnamed(_ data: String, at position: Position?) -> WireBytes {
        do {
            return try WireBytes(ServerSentEvent(data: data, id: position?.text))
        } catch {
            preconditionFailure("A position is not a valid id: \(error)")
        }
    }
}

/// How the body of a response is framed on its connection.
package enum Framing: Sendable {
    /// HTTP/1.1 with `Transfer-Encoding: chunked` (RFC 9112, section 7.1).
    case chunked
    /// Bytes as they are: HTTP/1.0, whose body ends with the connection.
    case plain
}

/// A block of an event stream, encoded once for all its receivers. Both framings share the same bytes.
package struct WireBytes: Sendable {
    private let chunk: ByteBuffer
    private let prefixLength: Int
    /// Whether a client dispatches it, which it does not with heartbeats and the like.
    package let isEvent: Bool
    /// Whether it tells of the hub and not of the application.
    let isControl: Bool

    package init(_ event: ServerSentEvent) throws(EventStreamError) {
        try self.init(event, isEvent: event.data != nil, isControl: false)
    }

    private init(_ event: ServerSentEvent, isEvent: Bool, isControl: Bool) throws(EventStreamError) {
        let bytes = try event.encoded()
        let digits = max(1, (Int.bitWidth - bytes.count.leadingZeroBitCount + 3) / 4)
        var chunk = ByteBuffer()
        // All at once: a stream begins with such a block.
        chunk.writeWithUnsafeMutableBytes(minimumWritableBytes: digits + bytes.count + 4) { chunk in
            for place in 0..<digits {
                let value = UInt8(truncatingIfNeeded: bytes.count >> (4 * (digits - 1 - place)) & 0xF)
                chunk[place] = value < 10 ? UInt8(ascii: "0") + value : UInt8(ascii: "a") + value - 10
            }
            let (start, end) = (digits + 2, digits + 2 + bytes.count)
            (chunk[start - 2], chunk[start - 1]) = (UInt8(ascii: "\r"), UInt8(ascii: "\n"))
            UnsafeMutableRawBufferPointer(rebasing: chunk[start..<end]).copyBytes(from: bytes)
            (chunk[end], chunk[end + 1]) = (UInt8(ascii: "\r"), UInt8(ascii: "\n"))
            return end + 2
        }
        self.chunk = chunk
        self.prefixLength = digits + 2
        self.isEvent = isEvent
        self.isControl = isControl
    }

    package func framed(as framing: Framing) -> ByteBuffer {
        switch framing {
        case .chunked: chunk
        case .plain: plain
        }
    }

    package var plain: ByteBuffer {
        var bytes = chunk
        bytes.moveReaderIndex(forwardBy: prefixLength)
        bytes.moveWriterIndex(to: bytes.writerIndex - 2)
        return bytes
    }

    package func count(as framing: Framing) -> Int {
        switch framing {
        case .chunked: chunk.readableBytes
        case .plain: chunk.readableBytes - prefixLength - 2
        }
    }
}

extension WireBytes {
    /// For a caught-up client: moves its last id to here and dispatches nothing (WHATWG HTML, section 9.2.6).
    package static func id(_ position: Position) -> WireBytes { make(ServerSentEvent(id: position.text)) }

    /// Keeps the connection busy and says nothing, for a client that is not caught up.
    package static let comment = make(ServerSentEvent(comment: ""))

    /// A heartbeat as an event. It counts as no event here.
    static func heartbeat(at position: Position?) -> WireBytes {
        make(ServerSentEvent(event: StreamProfile.heartbeatType, data: "{}", id: position?.text), isEvent: false)
    }

    package static func retry(_ delay: Duration) -> WireBytes { make(ServerSentEvent(retry: delay.milliseconds)) }

    /// What a stream begins with. Where a gap follows, the gap says from where: who is cut off between the two has not
    /// been told yet.
    package static func opening(after position: Position?, retry: Duration) -> WireBytes {
        make(ServerSentEvent(id: position?.text, retry: retry.milliseconds, comment: ""))
    }

    /// Stands where the stream was interrupted, and resumes there too.
    ///
    package static func gap(_ gap: Gap) -> WireBytes { self.gap(gap, id: gap.from.text) }

    /// Stands where values follow. A client that is cut off among them must receive all of them again when it comes back:
    /// with its last id if that leads to a gap again, and otherwise without an id, which an empty one achieves.
    package static func gapBeforeValues(_ gap: Gap) -> WireBytes {
        self.gap(gap, id: gap.reason == .skipped ? "" : nil)
    }

    private static func gap(_ gap: Gap, id: String?) -> WireBytes {
        make(ServerSentEvent(event: Gap.eventType, data: gap.json, id: id))
    }

    private static func make(_ event: ServerSentEvent, isEvent: Bool? = nil) -> WireBytes {
        do {
            return try WireBytes(event, isEvent: isEvent ?? (event.data != nil), isControl: true)
        } catch {
            // Positions have no control characters and delays are not negative: the contract of Log, checked by its suite.
            preconditionFailure("The hub's own block is not valid: \(error)")
        }
    }
}

extension Duration {
    var milliseconds: Int {
        let (seconds, attoseconds) = components
        return Int(seconds) * 1000 + Int(attoseconds / 1_000_000_000_000_000)
    }
}
