// SPDX-License-Identifier: Apache-2.0

#if Redis
import Martlet
import MartletSupport

/// What the server remembers of the stream besides its entries.
struct StreamState: Hashable, Sendable {
    /// Entries that were lost when the server came back with less than it had: those after the one place and up to the other.
    struct Loss: Hashable, Sendable {
        var after: StreamID
        var through: StreamID
    }

    /// Which life of the stream this is; `nil` where it has not begun, or where others have written something else there.
    var epoch: Epoch?
    /// The newest entry that retention has removed.
    var trimmed: StreamID
    /// What was removed up to here may be of any topic.
    var floor: StreamID
    var loss: Loss?
    /// The time for ages in milliseconds since 1970, when a node tidied last.
    var clock: UInt64
    /// The newest entry.
    var last: StreamID

    /// Something may have been removed up to here.
    var removed: StreamID { max(trimmed, floor) }
    /// Behind everything that there ever was.
    var end: StreamID { max(last, removed, loss?.through ?? .zero) }

    static let fields = ["epoch", "trimmed", "floor", "lost", "clock"]

    /// - Parameters:
    ///   - fields: The values of ``fields``.
    ///   - last: The newest entry.
    init(_ fields: some Collection<RedisReply>, last: StreamID) {
        let texts = fields.map(\.text)
        epoch = (texts.first ?? nil).flatMap { Epoch($0) }
        trimmed = Self.id(texts, 1)
        floor = Self.id(texts, 2)
        if let lost = texts.count > 3 ? texts[3] : nil, let (after, through) = lost.cutExactly(at: UInt8(ascii: " ")),
            let after = StreamID(after), let through = StreamID(through)
        {
            loss = Loss(after: after, through: through)
        }
        clock = (texts.count > 4 ? texts[4] : nil).flatMap { UInt64($0) } ?? 0
        self.last = last
    }

    private static func id(_ texts: [String?], _ index: Int) -> StreamID {
        (texts.count > index ? texts[index] : nil).flatMap { StreamID($0) } ?? .zero
    }
}
#endif
