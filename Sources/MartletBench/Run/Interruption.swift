// SPDX-License-Identifier: Apache-2.0

import Synchronization

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#else
import Darwin
#endif

/// The request of the user to end a run early.
package enum Interruption {
    private static let hasCome = Atomic(false)

    package static var isRequested: Bool {
        hasCome.load(ordering: .relaxed)
    }

    /// Makes the next SIGINT or SIGTERM such a request. A second one ends the process at once.
    package static func listen() {
        // This initializes the flag, too, which a signal handler must not do.
        hasCome.store(false, ordering: .relaxed)
        for code in [SIGINT, SIGTERM] {
            signal(code) { code in
                signal(code, SIG_DFL)
                Interruption.hasCome.store(true, ordering: .relaxed)
            }
        }
    }
}
