// SPDX-License-Identifier: Apache-2.0

import Foundation
import MartletSupport

/// A key or a password. Messages, logs and debuggers show `(secret)` in its place.
struct SecretText: Equatable, Sendable, CustomStringConvertible, CustomDebugStringConvertible, CustomReflectable {
    let text: String

    var description: String { "(secret)" }
    var debugDescription: String { description }
    var customMirror: Mirror { Mirror(self, children: []) }
}

/// The two options that can name a secret: `--key-file` and `--key-env`. The secret itself is never on the command line,
/// which other users of the machine can see.
struct SecretSource: Sendable {
    /// How the names of the options begin: `key`.
    let name: String
    let file: String?
    let variable: String?

    /// The secret; `nil` if neither option is given.
    ///
    /// - Throws: ``SettingsError`` if the secret cannot be read. The message contains nothing of it.
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

/// Reads files that options name, up to a bound.
enum BoundedFile {
    /// The greatest length of a key or a token in a file, in bytes.
    static let longestSecret = 64 * 1024

    /// The text of a file that holds a key or a token.
    ///
    /// - Parameter source: The option that names the file, for the error.
    /// - Throws: ``SettingsError``, which contains nothing of the file.
    static func secret(at path: String, for source: String) throws(SettingsError) -> String {
        let bytes = try bytes(at: path, atMost: longestSecret, for: source)
        guard let text = String(validating: bytes, as: UTF8.self) else {
            throw SettingsError(
                "\(source): the file \(path.debugDescription) is not text (UTF-8); write other bytes as hex or base64, "
                    + "and a public key as PEM")
        }
        return text
    }

    /// - Throws: ``SettingsError`` if the file cannot be read or is longer than `most` bytes.
    static func bytes(at path: String, atMost most: Int, for source: String) throws(SettingsError) -> Data {
        // The system would read the path up to the NUL.
        guard !path.containsExactly(0), let file = FileHandle(forReadingAtPath: path),
            let bytes = try? file.read(upToCount: most + 1)
        else {
            throw SettingsError("\(source): the file \(path.debugDescription) cannot be read")
        }
        guard bytes.count <= most else {
            throw SettingsError("\(source): the file \(path.debugDescription) is longer than \(most) bytes")
        }
        return bytes
    }
}
