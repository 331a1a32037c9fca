// SPDX-License-Identifier: Apache-2.0

/// What has become of the events that were published, which are answered in the order in which they were sent.
struct PublishRecord: Equatable, Sendable {
    /// How many events were sent, which is the sequence number of the next.
    private(set) var sent: UInt64 = 0
    /// How many of them the server has accepted, with a 2xx status.
    private(set) var accepted = 0
    private(set) var refused = 0
    /// How many were on their way when the connection broke. Subscribers may receive them, or not.
    private(set) var unanswered = 0
    /// The sequence numbers of the refused and the unanswered events, in order.
    private(set) var notAccepted: [UInt64] = []
    private(set) var firstRefusal: Int?

    /// How many events wait for their answer.
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

    /// The connection is gone, and with it the answers.
    mutating func breakOff() {
        notAccepted += sent - UInt64(pending)..<sent
        unanswered += pending
    }
}
