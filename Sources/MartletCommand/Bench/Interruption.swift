// SPDX-License-Identifier: Apache-2.0

import Synchronization

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#else
import Darwin
#endif

/// Whether the user has asked the run to end early.
enum Interruption {
    private static let hasCome = Atomic(false)

    static var isRequested: Bool {
        hasCome.load(ordering: .relaxed)
    }

    /// Makes the next SIGINT or SIGTERM a request to end; one after that ends the process at once.
    static func listen() {
        // Also initializes the flag, which a signal handler must not do.
        hasCome.store(false, ordering: .relaxed)
        for code in [SIGINT, SIGTERM] {
            signal(code) { code in
                signal(code, SIG_DFL)
                Interruption.hasCome.store(true, ordering: .relaxed)
            }
        }
    }
}
