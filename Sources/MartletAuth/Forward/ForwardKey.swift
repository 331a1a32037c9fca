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
        for part in [purpose, "authorization"] + authorization + ["cookie"] + cookies {
            // With its length, so that no two lists run together into one.
            hash.update(data: Data("\(part.utf8.count) \(part)".utf8))
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
