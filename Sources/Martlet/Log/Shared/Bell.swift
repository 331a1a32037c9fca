// SPDX-License-Identifier: Apache-2.0

import Dispatch
import Synchronization

/// What a thread waits at that has nothing to do. Ringing it while nobody waits is remembered, once.
package final class Bell: Sendable {
    private let semaphore = DispatchSemaphore(value: 0)
    private let isRung = Atomic(false)

    package init() {}

    package func ring() {
        if !isRung.exchange(true, ordering: .acquiringAndReleasing) { semaphore.signal() }
    }

    /// Blocks the thread until somebody rings or the time is over.
    package func wait(atMost time: Duration) {
        let nanoseconds = Int(max(.zero, time) / .nanoseconds(1))
        if semaphore.wait(timeout: .now() + .nanoseconds(nanoseconds)) == .success {
            isRung.store(false, ordering: .releasing)
        }
    }
}
