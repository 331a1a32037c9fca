// SPDX-License-Identifier: Apache-2.0

import Dispatch
import Synchronization

/// Looks every second whether there is something to do besides publishing.
final class Maintenance: Sendable {
    private let timer = Mutex<(any DispatchSourceTimer)?>(nil)

    func start(_ body: @escaping @Sendable () -> Void) {
        timer.withLock { timer in
            let new = DispatchSource.makeTimerSource()
            new.schedule(deadline: .now() + .seconds(1), repeating: .seconds(1))
            new.setEventHandler(handler: body)
            new.activate()
            timer = new
        }
    }

    func stop() {
        timer.withLock { timer in
            timer?.cancel()
            timer = nil
        }
    }

    deinit { stop() }
}
