// SPDX-License-Identifier: Apache-2.0

/// The answers to the published events, which arrive in the order of sending.
struct PublishRecord: Equatable, Sendable {
    /// The number of events sent, which is the sequence number of the next event.
    private(set) var sent: UInt64 = 0
    /// The number of events that the server has accepted, with a 2xx status.
    private(set) var accepted = 0
    private(set) var refused = 0
    /// The number of events without an answer when the connection broke. Subscribers may or may not receive them.
    private(set) var unanswered = 0
    /// The sequence numbers of the refused and the unanswered events, in order.
    private(set) var notAccepted: [UInt64] = []
    private(set) var firstRefusal: Int?

    /// The number of events that wait for their answer.
    var pending: Int {
        Int(sent) - accepted - refused - unanswered
    }

    mutating func send() {
        sent += 1
    }

    mutating func answer(status: Int) {
        guard pending > 0 else { return }
        if (200...299).contains(status) {
            accepted += 1
        } else {
            notAccepted.append(sent - UInt64(pending))
            refused += 1
            firstRefusal = firstRefusal ?? status
        }
    }

    /// Records that the connection broke, so that no further answers arrive.
    mutating func breakOff() {
        notAccepted += sent - UInt64(pending)..<sent
        unanswered += pending
    }
}
