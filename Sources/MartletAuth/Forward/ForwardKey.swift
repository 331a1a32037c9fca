// SPDX-License-Identifier: Apache-2.0

import Crypto
import Foundation

/// Whose answer it is: digests (SHA-256), since the credentials themselves are not kept.
struct ForwardKey: Hashable, Sendable {
    private let credentials: [UInt8]
    /// `nil`: whatever the URI is.
    private var uri: [UInt8]?
    /// `nil`: whatever the address of the client is.
    private var address: [UInt8]?

    init(purpose: String, authorization: [String], cookies: [String], uri: String, address: String) {
        var hash = SHA256()
        // Each list with how many there are, and each text with its length, so that no two run together into one.
        for list in [[purpose], authorization, cookies] {
            hash.update(data: Data("\(list.count) ".utf8))
            for text in list { hash.update(data: Data("\(text.utf8.count) \(text)".utf8)) }
        }
        credentials = Array(hash.finalize())
        self.uri = Array(SHA256.hash(data: Data(uri.utf8)))
        self.address = Array(SHA256.hash(data: Data(address.utf8)))
    }

    /// The key of answers that do not depend on all of the request.
    func reduced(byURI: Bool, byAddress: Bool) -> ForwardKey {
        var key = self
        if !byURI { key.uri = nil }
        if !byAddress { key.address = nil }
        return key
    }
}
