// SPDX-License-Identifier: Apache-2.0

#if Redis
import Martlet
import MartletSupport

/// The state that the server stores with the stream.
struct StreamState: Hashable, Sendable {
    /// Entries that were lost because the server came back with less than it had: those after one id and through
    /// another.
    struct Loss: Hashable, Sendable {
        var after: StreamID
        var through: StreamID
    }

    /// The life of the stream; `nil` if it has not begun, or if another program has written something else there.
    var epoch: Epoch?
    /// The newest entry that retention has removed.
    var trimmed: StreamID
    /// Entries of any topic may have been removed up to here.
    var floor: StreamID
    var loss: Loss?
    /// The time for ages at the last maintenance, in milliseconds since 1970.
    var clock: UInt64
    /// The newest entry.
    var last: StreamID

    /// Entries may have been removed up to here.
    var removed: StreamID { max(trimmed, floor) }
    /// The end of everything that was ever in the stream.
    var end: StreamID { max(last, removed, loss?.through ?? .zero) }

    static let fields = ["epoch", "trimmed", "floor", "lost", "clock"]

    /// - Parameters:
    ///   - fields: The values of ``fields``.
    ///   - last: The newest entry.
    init(_ fields: some Collection<RedisReply>, last: StreamID) {
        let texts = fields.map(\.text)
        func text(_ index: Int) -> String? { index < texts.count ? texts[index] : nil }
        func id(_ index: Int) -> StreamID { text(index).flatMap { StreamID($0) } ?? .zero }
        epoch = text(0).flatMap { Epoch($0) }
        trimmed = id(1)
        floor = id(2)
        if let (after, through) = text(3)?.cutExactly(at: UInt8(ascii: " ")), let after = StreamID(after),
            let through = StreamID(through)
        {
            loss = Loss(after: after, through: through)
        }
        clock = text(4).flatMap { UInt64($0) } ?? 0
        self.last = last
    }
}

/// What this node has seen of the stream. It answers clients that are up to date without the server. A value.
struct NodeState {
    /// The epochs that the node has seen, the newest last.
    private var epochs: [Epoch] = []
    /// How far the tail has read, in the newest epoch.
    var tailed = StreamID.zero
    /// The state of the stream when the tail last read.
    private var stream: StreamState?
    /// The newest entry that the node has read or added, in the newest epoch.
    private var newest = StreamID.zero
    /// The number of entries that were skipped because they are not events.
    var skipped = 0

    /// Older epochs count as unknown.
    private static let mostEpochs = 16

    var epoch: Epoch? { epochs.last }

    /// The server gets it when a connection is made, to find out whether it still has what the node has seen.
    var newestPlace: StreamPlace? { epoch.map { StreamPlace($0, newest) } }

    /// The node has seen the stream in this state. Returns whether a new epoch has begun.
    mutating func saw(_ stream: StreamState) -> Bool {
        guard let epoch = stream.epoch else { return false }
        self.stream = stream
        guard epoch != self.epoch else { return false }
        epochs.removeAll { $0 == epoch }
        epochs.append(epoch)
        if epochs.count > Self.mostEpochs { epochs.removeFirst() }
        newest = .zero
        return true
    }

    /// The node has seen this entry.
    mutating func saw(_ id: StreamID, in epoch: Epoch) {
        if epoch == self.epoch { newest = max(newest, id) }
    }

    func covers(_ a: StreamPlace, _ b: StreamPlace) -> Bool {
        if a.epoch == b.epoch { return a.id >= b.id }
        // A reader in a later epoch has all of the earlier ones behind it. An unknown epoch was earlier.
        return (epochs.firstIndex(of: a.epoch) ?? -1) > (epochs.firstIndex(of: b.epoch) ?? -1)
    }

    /// Whether a place is within history and the tail has reached it, so that there is no need to ask the server. If
    /// events behind it were removed since, the reader finds out when it reads on.
    func isCurrent(_ place: StreamPlace) -> Bool {
        guard let stream, place.epoch == epoch, place.id <= tailed, stream.removed <= place.id else { return false }
        return stream.loss.map { place.id > $0.through } ?? true
    }
}
#endif
