// SPDX-License-Identifier: Apache-2.0

import Foundation

/// How much is made up for tests with random input, and from what.
package enum FuzzSettings {
    /// How many inputs each test gets, where `MARTLET_FUZZ_INPUTS` says so.
    package static let count = setting("MARTLET_FUZZ_INPUTS").map(Int.init)
    /// Another one in each run, unless `MARTLET_FUZZ_SEED` says which. A failure has to say it.
    package static let seed = setting("MARTLET_FUZZ_SEED") ?? UInt64.random(in: 0 ... .max)

    private static func setting(_ name: String) -> UInt64? {
        ProcessInfo.processInfo.environment[name].flatMap { UInt64($0) }
    }
}
