// SPDX-License-Identifier: Apache-2.0

import MartletSupport
package import NIOCore

/// A client as the limits of clients know it: by its principal and its address.
package struct ClientIdentity: Sendable {
    /// `nil`: the client is anonymous.
    private let name: String?
    /// `nil`: the address is not known.
    private let place: SocketAddress?

    package init(principal: String? = nil, address: SocketAddress?) {
        name = principal
        place = address
    }

    // Made only where there is a limit: every request passes here.

    var principal: ClientKey? { name.map { ClientKey(principal: $0) } }

    var address: ClientKey? { place.map { ClientKey($0) } }
}

/// A principal or an address. It takes the same few bytes however long the name of a principal is.
struct ClientKey: Hashable, Sendable {
    private enum Kind: UInt8 {
        case principal
        case address
        case unix
    }

    private let kind: Kind
    private let high: UInt64
    private let low: UInt64

    /// A name is hashed to 128 bits with the secret of this process, so that no client finds two names that collide.
    init(principal: String) {
        let name = ExactText(principal)
        func hash(_ salt: UInt8) -> UInt64 {
            var hasher = Hasher()
            hasher.combine(salt)
            hasher.combine(name)
            return UInt64(bitPattern: Int64(hasher.finalize()))
        }
        kind = .principal
        high = hash(0)
        low = hash(1)
    }

    init(_ address: SocketAddress) {
        let client = IPAddress(address)?.client
        kind = client == nil ? .unix : .address
        high = client?.high ?? 0
        low = client?.low ?? 0
    }
}
