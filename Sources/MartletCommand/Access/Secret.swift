// SPDX-License-Identifier: Apache-2.0

import MartletSupport

/// A text that is never shown: neither in messages, nor in logs, nor by a debugger's description.
struct Secret: Equatable, Sendable, CustomStringConvertible, CustomDebugStringConvertible, CustomReflectable {
    let text: String

    /// What is shown as an example.
    static let example = Secret(text: "file:/run/secrets/key")

    var description: String { "(secret)" }
    var debugDescription: String { description }
    var customMirror: Mirror { Mirror(self, children: []) }

    /// What stands in front of the path of a file that holds the secret.
    private static let filePrefix = "file:"

    /// The path that a text names with `file:`; `nil` where it names none.
    static func path(in text: String) -> String? {
        text.cutting(prefix: filePrefix).map { String($0) }
    }

    /// What a setting's text stands for: with `file:` in front the content of a file.
    ///
    /// - Parameters:
    ///   - source: Where the text comes from, for the error.
    ///   - isVisible: Whether others on this machine may see the text, as on a command line. Then it must name a file.
    /// - Throws: ``SettingsError``, which does not contain the text unless it names a file.
    static func read(_ text: String, from source: String, isVisible: Bool) throws(SettingsError) -> String {
        guard let path = path(in: text) else {
            guard !isVisible else {
                throw SettingsError(
                    "\(source): others can see what is on a command line; put the key into a file and write file:PATH")
            }
            return text
        }
        return try BoundedFile.secret(at: path, for: source)
    }
}

extension SettingFormat<Secret> {
    /// A key, or `file:` and the path of a file that holds it.
    static var secret: Self {
        Self(
            valueName: "file:path", expectation: "a key, or file: and the path of a file that holds one",
            isSecret: true, parse: { $0.isEmpty ? nil : Secret(text: $0) }, describe: \.text)
    }
}
