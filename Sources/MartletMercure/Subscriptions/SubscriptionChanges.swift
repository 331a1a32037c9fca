// SPDX-License-Identifier: Apache-2.0

/// What is different between the connections of a node then and now. A connection never changes what it is subscribed to.
struct SubscriptionChanges: Sendable {
    /// Each in the order in which they began.
    let ended: [ActiveConnection.Entry]
    let began: [ActiveConnection.Entry]

    init(from before: ConnectionBook, to now: ConnectionBook) {
        ended = before.entries(notIn: now)
        began = now.entries(notIn: before)
    }
}
