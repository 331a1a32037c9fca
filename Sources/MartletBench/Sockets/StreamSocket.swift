// SPDX-License-Identifier: Apache-2.0

import MartletOutgoing

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#else
import Darwin
#endif

/// A non-blocking TCP connection. Its owner closes it.
struct StreamSocket: Equatable, Sendable {
    enum Received: Equatable, Sendable {
        /// The number of bytes. If it is less than the buffer has room for, no more have arrived yet.
        case bytes(Int)
        case nothing
        case closed
        /// The error number.
        case failed(Int32)
    }

    #if canImport(Glibc)
    static let type = Int32(SOCK_STREAM.rawValue)
    #else
    static let type = SOCK_STREAM
    #endif

    let descriptor: Int32

    /// Begins to connect. The socket becomes writable when it is connected, or has failed to connect.
    ///
    /// - Throws: ``BenchError`` if connecting fails at once.
    init(connectingTo address: SocketAddress) throws(BenchError) {
        descriptor = socket(address.family, Self.type, 0)
        guard descriptor >= 0 else { throw .system("cannot open a socket") }
        _ = fcntl(descriptor, F_SETFL, O_NONBLOCK)
        _ = fcntl(descriptor, F_SETFD, FD_CLOEXEC)
        set(Int32(IPPROTO_TCP), TCP_NODELAY, to: Int32(1))
        // Closing resets the connection; otherwise thousands of ports would stay in use for a minute after a run.
        set(SOL_SOCKET, SO_LINGER, to: linger(l_onoff: 1, l_linger: 0))
        guard address.withPointer({ connect(descriptor, $0, $1) }) == 0 || errno == EINPROGRESS else {
            let code = errno
            close()
            throw .system("cannot connect", code: code)
        }
    }

    /// The error number of connecting; 0 if there is no error.
    var connectError: Int32 {
        var code: Int32 = 0
        var length = socklen_t(MemoryLayout<Int32>.size)
        getsockopt(descriptor, SOL_SOCKET, SO_ERROR, &code, &length)
        return code
    }

    /// Reads into the buffer.
    func receive(into buffer: inout [UInt8]) -> Received {
        // The system writes at most the size of the buffer, and the pointer does not outlive the call.
        let count = buffer.withUnsafeMutableBytes { recv(descriptor, $0.baseAddress, $0.count, 0) }
        if count > 0 { return .bytes(count) }
        if count == 0 { return .closed }
        return errno == EAGAIN || errno == EINTR ? .nothing : .failed(errno)
    }

    /// - Returns: How many of the bytes the system took; `nil` if the connection is broken.
    func send(_ bytes: ArraySlice<UInt8>) -> Int? {
        // The system reads at most these bytes, and the pointer does not outlive the call.
        let count = bytes.withUnsafeBytes { write(descriptor, $0.baseAddress, $0.count) }
        if count >= 0 { return count }
        return errno == EAGAIN || errno == EINTR ? 0 : nil
    }

    func close() {
        #if canImport(Glibc)
        _ = Glibc.close(descriptor)
        #elseif canImport(Musl)
        _ = Musl.close(descriptor)
        #else
        _ = Darwin.close(descriptor)
        #endif
    }

    /// Connects and closes.
    ///
    /// - Throws: ``BenchError`` if the server does not accept within 5 seconds.
    static func probe(_ address: SocketAddress, of target: OutgoingURL) throws(BenchError) {
        let socket = try StreamSocket(connectingTo: address)
        defer { socket.close() }
        var writable = pollfd(fd: socket.descriptor, events: Int16(POLLOUT), revents: 0)
        let isOver = poll(&writable, 1, 5000) == 1
        let code = isOver ? socket.connectError : ETIMEDOUT
        guard code == 0 else { throw .system("cannot connect to \(target.authority)", code: code) }
    }

    private func set<Value: BitwiseCopyable>(_ level: Int32, _ option: Int32, to value: Value) {
        withUnsafeBytes(of: value) { value in
            _ = setsockopt(descriptor, level, option, value.baseAddress, socklen_t(value.count))
        }
    }
}

/// The address of a server that accepts connections.
struct SocketAddress: Sendable {
    let family: Int32
    private var storage = sockaddr_storage()
    private let length: socklen_t

    private init(_ info: addrinfo) {
        family = info.ai_family
        length = info.ai_addrlen
        // The resolver reports the length of the address; a storage has room for the addresses of all families.
        withUnsafeMutableBytes(of: &storage) { storage in
            storage.copyMemory(from: UnsafeRawBufferPointer(start: info.ai_addr, count: Int(info.ai_addrlen)))
        }
    }

    /// The first address of a host that accepts a connection. The connection is closed at once.
    ///
    /// - Throws: ``BenchError`` if no address does, with the reason of the last one.
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
            // A storage begins like the addresses of all families.
            storage.withMemoryRebound(to: sockaddr.self, capacity: 1) { body($0, length) }
        }
    }
}

/// Why a run cannot measure, or why its publisher was disturbed.
package struct BenchError: Error, Equatable, CustomStringConvertible {
    /// What is wrong, in one line.
    package let description: String

    init(_ description: String) {
        self.description = description
    }

    /// A failed system call.
    ///
    /// - Parameters:
    ///   - action: The failure, in words: "cannot open a socket".
    ///   - code: The error number of the call.
    static func system(_ action: String, code: Int32 = errno) -> Self {
        Self("\(action): \(String(cString: strerror(code)))")
    }
}
