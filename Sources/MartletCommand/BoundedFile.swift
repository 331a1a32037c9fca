// SPDX-License-Identifier: Apache-2.0

import Foundation

/// Reads the files that options name, as far as they may be long.
enum BoundedFile {
    /// In bytes; keys and tokens are far shorter.
    static let longestSecret = 64 * 1024

    /// The text of a file that holds a key or a token.
    ///
    /// - Parameter source: Which option names the file, for the error.
    /// - Throws: ``SettingsError``, without any of the content.
    static func secret(at path: String, for source: String) throws(SettingsError) -> String {
        let bytes = try bytes(at: path, atMost: longestSecret, for: source)
        guard let text = String(validating: bytes, as: UTF8.self) else {
            throw SettingsError(
                "\(source): the file \(path.debugDescription) is not text (UTF-8); write other bytes as hex or base64, "
                    + "and a public key as PEM")
        }
        return text
    }

    /// - Throws: ``SettingsError`` where the file cannot be read, or has more bytes.
    static func bytes(at path: String, atMost most: Int, for source: String) throws(SettingsError) -> Data {
        // The system would take what is before the NUL for the path.
        guard !path.utf8.contains(0), let file = FileHandle(forReadingAtPath: path),
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
