// SPDX-License-Identifier: Apache-2.0

package import MartletOutgoing
import MartletSupport

extension OutgoingURL {
    /// A URL that somebody has configured: as it is, without anything to be encoded for him.
    ///
    /// - Throws: What follows "The URL": ``OutgoingURLError``, or ``CharacterError``.
    package init(setting text: String) throws {
        guard text.utf8.allSatisfy({ (0x21...0x7E).contains($0) }) else { throw CharacterError() }
        try self.init(text)
    }

    package struct CharacterError: Error, CustomStringConvertible {
        package let description = "must be of ASCII characters without spaces; percent-encode others"
    }
}
