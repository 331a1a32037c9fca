// SPDX-License-Identifier: Apache-2.0

/// What a node calls a group of publishes that it sends to a shared log. Sent again because its answer was lost, it has the
/// same: so it is accepted once.
package struct RecordID: Hashable, Sendable {
    /// This instance of the log; no two have the same.
    package var node: String
    /// Which group of the node it is: groups are sent one after the other.
    package var number: UInt64

    package init(node: String, number: UInt64) {
        self.node = node
        self.number = number
    }
}
