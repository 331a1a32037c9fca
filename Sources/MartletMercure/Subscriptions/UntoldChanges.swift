// SPDX-License-Identifier: Apache-2.0

import MartletSupport

/// The connections of this node that have begun and ended, and of which that was not announced yet.
///
/// A connection that ends before its beginning was announced is not announced at all. So there are never more than there
/// are connections open, and ended ones that were announced.
struct UntoldChanges {
    private var begun: [ExactText: ActiveConnection.Entry] = [:]
    private var ended: [ActiveConnection.Entry] = []

    var count: Int { begun.count + ended.count }

    mutating func begin(_ entry: ActiveConnection.Entry) { begun[ExactText(entry.subscriber)] = entry }

    mutating func end(_ entry: ActiveConnection.Entry) {
        if begun.removeValue(forKey: ExactText(entry.subscriber)) == nil { ended.append(entry) }
    }

    /// Takes all of them: what began in the order in which it did, and then what ended.
    mutating func take() -> [(entry: ActiveConnection.Entry, isActive: Bool)] {
        defer { self = UntoldChanges() }
        return begun.values.sorted { $0.arrival < $1.arrival }.map { ($0, true) } + ended.map { ($0, false) }
    }
}
