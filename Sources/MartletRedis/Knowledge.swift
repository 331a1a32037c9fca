// SPDX-License-Identifier: Apache-2.0

#if Redis
import Martlet

/// What a node knows of the stream without asking the server. A value.
struct Knowledge {
    /// The lives of the stream that the node has seen, the newest last.
    private(set) var epochs: [Epoch] = []
    /// How far the tail has read, in the newest epoch.
    var tailed = StreamID.zero
    /// The state as the tail has seen it with what it has read last.
    private(set) var state: StreamState?
    /// The newest entry that the node has read or added, in the newest epoch.
    private(set) var newest = StreamID.zero
    /// How many entries were skipped that are no events.
    var skipped = 0

    /// Older ones count as unknown.
    private static let mostEpochs = 16

    var epoch: Epoch? { epochs.last }

    /// What the server is told when it comes back, to find out whether it still has it.
    var newestPlace: StreamPlace? { epoch.map { StreamPlace($0, newest) } }

    /// The stream is in this state. Returns whether it has begun anew.
    mutating func learn(_ state: StreamState) -> Bool {
        guard let epoch = state.epoch else { return false }
        self.state = state
        guard epoch != self.epoch else { return false }
        epochs.removeAll { $0 == epoch }
        epochs.append(epoch)
        if epochs.count > Self.mostEpochs { epochs.removeFirst() }
        newest = .zero
        return true
    }

    /// There is such an entry.
    mutating func see(_ id: StreamID, in epoch: Epoch) {
        if epoch == self.epoch { newest = max(newest, id) }
    }

    func covers(_ a: StreamPlace, _ b: StreamPlace) -> Bool {
        if a.epoch == b.epoch { return a.id >= b.id }
        // Everything of an earlier life is behind whoever has come to a later one. What is unknown was earlier.
        return (epochs.firstIndex(of: a.epoch) ?? -1) > (epochs.firstIndex(of: b.epoch) ?? -1)
    }

    /// What an id stands for that is not older than history as this node knows it, and that the tail has reached: no need to
    /// ask the server. What was removed since is found out by who reads on from there.
    func isCurrent(_ place: StreamPlace) -> Bool {
        guard let state, place.epoch == epoch, place.id <= tailed, state.removed <= place.id else { return false }
        return state.loss.map { place.id > $0.through } ?? true
    }
}
#endif
