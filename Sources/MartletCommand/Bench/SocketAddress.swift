// SPDX-License-Identifier: Apache-2.0

import MartletOutgoing

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#else
import Darwin
#endif

/// The address of a server that accepts connections.
struct SocketAddress: Sendable {
    let family: Int32
    private var storage = sockaddr_storage()
    private let length: socklen_t

    private init(_ info: addrinfo) {
        family = info.ai_family
        length = info.ai_addrlen
        // The resolver says how long the address is; a storage has room for one of any family.
        withUnsafeMutableBytes(of: &storage) { storage in
            storage.copyMemory(from: UnsafeRawBufferPointer(start: info.ai_addr, count: Int(info.ai_addrlen)))
        }
    }

    /// The first address of a host that accepts a connection, which is closed at once.
    ///
    /// - Throws: ``BenchError`` if there is none, with the reason of the last.
    static func reachable(_ target: OutgoingURL) throws(BenchError) -> SocketAddress {
        var hints = addrinfo()
        hints.ai_socktype = StreamSocket.type
        var list: UnsafeMutablePointer<addrinfo>?
        let code = getaddrinfo(target.host, String(target.port), &hints, &list)
        guard code == 0 else {
            throw BenchError("cannot resolve \(target.host): \(String(cString: gai_strerror(code)))")
        }
        defer { freeaddrinfo(list) }
        var failure = BenchError("\(target.host) has no address")
        for info in sequence(first: list, next: { $0?.pointee.ai_next }).compactMap(\.self) {
            let address = SocketAddress(info.pointee)
            do throws(BenchError) {
                try StreamSocket.probe(address, of: target)
                return address
            } catch {
                failure = error
            }
        }
        throw failure
    }

    func withPointer<Result>(_ body: (UnsafePointer<sockaddr>, socklen_t) -> Result) -> Result {
        withUnsafePointer(to: storage) { storage in
            // A storage begins as an address of any family does.
            storage.withMemoryRebound(to: sockaddr.self, capacity: 1) { body($0, length) }
        }
    }
}
