// SPDX-License-Identifier: Apache-2.0

import EventStream
import NIOCore
import Synchronization

/// An event as it goes to everybody who receives it: immutable, shared, encoded when the first one needs it.
final class Frame: Sendable {
    let record: Record
    /// Whether it is in no log, and its position is that of the event before it.
    let isAnnounced: Bool
    /// When this node had read it from the log.
    let time: ContinuousClock.Instant
    private let encoded = Mutex<WireBytes?>(nil)

    init(_ record: Record, time: ContinuousClock.Instant = .now, isAnnounced: Bool = false) {
        self.record = record
        self.isAnnounced = isAnnounced
        self.time = time
        let lineEnds = record.event.data.utf8.count { $0 == 0x0A || $0 == 0x0D }
        byteCount = record.event.byteCount + lineEnds * "data: ".utf8.count
    }

    /// What the frame counts for in the window: the event, and what its lines cost once it is encoded.
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
        do {
            try self.init(ServerSentEvent(event: event.type, data: event.data, id: record.id, retry: event.retry))
        } catch {
            // The hub checks what it publishes; a log that others write to may hold anything. The data can always be sent.
            self = .unnamed(event.data, at: record.position)
        }
    }

    private static func unnamed(_ data: String, at position: Position) -> WireBytes {
        do {
            return try WireBytes(ServerSentEvent(data: data, id: position.text))
        } catch {
            preconditionFailure("A position is not a valid id: \(error)")
        }
    }
}
