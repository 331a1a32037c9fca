// SPDX-License-Identifier: Apache-2.0

import Synchronization

extension Atomic where Value == Double {
    /// Adds without a lock: again from the start where another thread came between.
    func add(_ amount: Double) {
        var old = load(ordering: .relaxed)
        while true {
            let (isDone, current) = weakCompareExchange(expected: old, desired: old + amount, ordering: .relaxed)
            if isDone { return }
            old = current
        }
    }
}
