// SPDX-License-Identifier: Apache-2.0

/// This machine's metrics are not to be had.
struct SystemMetricsError: Error, Equatable, CustomStringConvertible {
    /// What is wrong and what to do, in one line.
    let description: String

    static func unreadable(_ path: String) -> Self {
        Self(description: "cannot read \(path), which --demo needs; start without --demo on this system")
    }

    static func malformed(_ path: String) -> Self {
        Self(description: "unexpected content in \(path), which --demo needs; start without --demo on this system")
    }
}
