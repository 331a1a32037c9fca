// SPDX-License-Identifier: Apache-2.0

import MartletOutgoing

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#else
import Darwin
#endif

/// A non-blocking TCP connection, which whoever opens it closes.
struct StreamSocket: Equatable, Sendable {
    enum Received: Equatable, Sendable {
        /// As many bytes as the buffer has room for, if there were so many; else there are no more for now.
        case bytes(Int)
        case nothing
        case closed
        /// With the error number.
        case failed(Int32)
    }

    #if canImport(Glibc)
    static let type = Int32(SOCK_STREAM.rawValue)
    #else
    static let type = SOCK_STREAM
    #endif

    let descriptor: Int32

    /// Begins to connect. The socket is writable once that has come to an end.
    ///
    /// - Throws: ``BenchError`` if it has already failed.
    init(connectingTo address: SocketAddress) throws(BenchError) {
        descriptor = socket(address.family, Self.type, 0)
        guard descriptor >= 0 else { throw .system("cannot open a socket") }
        _ = fcntl(descriptor, F_SETFL, O_NONBLOCK)
        _ = fcntl(descriptor, F_SETFD, FD_CLOEXEC)
        set(Int32(IPPROTO_TCP), TCP_NODELAY, to: Int32(1))
        // Closing resets the connection, so that thousands of ports do not stay in use for a minute after a run.
        set(SOL_SOCKET, SO_LINGER, to: linger(l_onoff: 1, l_linger: 0))
        guard address.withPointer({ connect(descriptor, $0, $1) }) == 0 || errno == EINPROGRESS else {
            let code = errno
            close()
            throw .system("cannot connect", code: code)
        }
    }

    /// The error number with which connecting has failed; 0 if it has not.
    var connectError: Int32 {
        var code: Int32 = 0
        var length = socklen_t(MemoryLayout<Int32>.size)
        getsockopt(descriptor, SOL_SOCKET, SO_ERROR, &code, &length)
        return code
    }

    /// Reads into the buffer.
    func receive(into buffer: inout [UInt8]) -> Received {
        // The system writes at most as many bytes as the buffer has, which stays where it is during the call.
        let count = buffer.withUnsafeMutableBytes { recv(descriptor, $0.baseAddress, $0.count, 0) }
        if count > 0 { return .bytes(count) }
        if count == 0 { return .closed }
        return errno == EAGAIN || errno == EINTR ? .nothing : .failed(errno)
    }

    /// - Returns: How many of the bytes the system took; nil if the connection is broken.
    func send(_ bytes: ArraySlice<UInt8>) -> Int? {
        // The system reads at most as many bytes as there are, which stay where they are during the call.
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
    /// - Throws: ``BenchError`` if the server does not accept within some seconds.
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
