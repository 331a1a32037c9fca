// SPDX-License-Identifier: Apache-2.0

import Foundation
import MartletSupport
import Synchronization

/// A key set in a file. It is read again after the file has changed.
final class KeySetFile: Sendable {
    /// Differs if the file is another one, or has other contents.
    private struct Version: Hashable {
        var modified: Date?
        var size: Int?
        var number: Int?
    }

    private let path: String
    private let algorithms: Set<TokenAlgorithm>
    private let maximumBytes: Int
    private let version = Mutex<Version?>(nil)

    init(path: String, allowing algorithms: Set<TokenAlgorithm>, maximumBytes: Int) {
        self.path = path
        self.algorithms = algorithms
        self.maximumBytes = maximumBytes
    }

    /// Returns the keys; `nil` if they have not changed.
    func fetch() async throws(KeyError) -> KeySet? {
        // A mounted file may be a link, which does not change when the file is replaced.
        let file = URL(filePath: path).resolvingSymlinksInPath()
        guard let attributes = try? FileManager.default.attributesOfItem(atPath: file.path(percentEncoded: false))
        else {
            throw KeyError(.unusable, "There is no file \(path).")
        }
        guard attributes[.type] as? FileAttributeType == .typeRegular else {
            throw KeyError(.unusable, "\(path) is not a file that can be read again, but a folder, a pipe or a device.")
        }
        let current = Version(
            modified: attributes[.modificationDate] as? Date, size: (attributes[.size] as? NSNumber)?.intValue,
            number: (attributes[.systemFileNumber] as? NSNumber)?.intValue)
        if version.withLock({ $0 == current }) { return nil }
        guard let handle = try? FileHandle(forReadingFrom: file),
            let text = try? handle.read(upToCount: maximumBytes + 1)
        else {
            throw KeyError(.unusable, "The file \(path) cannot be read.")
        }
        guard text.count <= maximumBytes else {
            throw KeyError(.malformedSet, "The file \(path) is longer than \(maximumBytes) bytes.")
        }
        let keys = try await KeySet(jwks: text, allowing: algorithms)
        version.withLock { $0 = current }
        return keys
    }
}
