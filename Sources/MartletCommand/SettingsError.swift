// SPDX-License-Identifier: Apache-2.0

/// Settings that the hub cannot start with.
struct SettingsError: Error, Equatable, CustomStringConvertible {
    /// What is wrong, where it comes from and what to do, in one line.
    let description: String

    init(_ description: String) {
        self.description = description
    }

    static func openToOthers(host: String) -> Self {
        Self(
            """
            anyone who can reach \(host) could publish, since no keys are configured; set publisher-key and \
            subscriber-key, or set --host 127.0.0.1 and put a reverse proxy in front that passes on GET only
            """
        )
    }
}
