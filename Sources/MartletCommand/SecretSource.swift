// SPDX-License-Identifier: Apache-2.0

/// Where a secret is read from: a file, or a variable of the environment. It is never on the command line, which other
/// users of the machine can see.
struct SecretSource: Sendable {
    /// What the options begin with: `key` for `--key-file` and `--key-env`.
    let name: String
    let file: String?
    let variable: String?

    /// The text of the secret; `nil` where nothing is named.
    ///
    /// - Throws: ``SettingsError`` where it cannot be read, without any of it.
    func text(environment: [String: String]) throws(SettingsError) -> String? {
        if let variable {
            guard let text = environment[variable] else {
                throw SettingsError("--\(name)-env: the environment has no variable \(variable)")
            }
            return text
        }
        guard let file else { return nil }
        return try BoundedFile.secret(at: file, for: "--\(name)-file")
    }
}
