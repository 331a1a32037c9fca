// SPDX-License-Identifier: Apache-2.0

#if ServiceBus
import Martlet
import MartletSupport

#if canImport(Darwin)
import Darwin
#elseif canImport(Musl)
import Musl
#else
import Glibc
#endif

/// A socket that is connected with a bound on the time it takes.
enum TCPSocket {
    private static let longestSleep = Duration.milliseconds(100)

    /// Tries the addresses of a host one after the other. The socket does not block.
    ///
    /// - Throws: ``LogUnreachable`` with the reason for the last address.
    static func connect(
        to host: String, port: Int, until deadline: ContinuousClock.Instant, isCancelled: () -> Bool
    ) throws(LogUnreachable) -> CInt {
        var hints = addrinfo()
        #if canImport(Glibc)
        hints.ai_socktype = CInt(SOCK_STREAM.rawValue)
        #else
        hints.ai_socktype = SOCK_STREAM
        #endif
        var list: UnsafeMutablePointer<addrinfo>?
        let code = getaddrinfo(host, "\(port)", &hints, &list)
        guard code == 0 else { throw LogUnreachable("\(host): \(String(cString: gai_strerror(code)))") }
        defer { freeaddrinfo(list) }
        var reason = "\(host) has no address."
        var next = list
        while let address = next?.pointee {
            next = address.ai_next
            let socket = Self.socket(for: address)
            guard socket >= 0 else {
                reason = SocketError.message(errno)
                continue
            }
            if let error = connect(socket, to: address, until: deadline, isCancelled: isCancelled) {
                close(socket)
                reason = "\(host):\(port): \(error)"
                continue
            }
            var isOn: CInt = 1
            setsockopt(socket, CInt(IPPROTO_TCP), TCP_NODELAY, &isOn, socklen_t(MemoryLayout<CInt>.size))
            return socket
        }
        throw LogUnreachable(reason)
    }

    private static func socket(for address: addrinfo) -> CInt {
        #if os(Linux)
        let flags = CInt(SOCK_NONBLOCK.rawValue | SOCK_CLOEXEC.rawValue)
        return systemSocket(address.ai_family, address.ai_socktype | flags, address.ai_protocol)
        #else
        let socket = systemSocket(address.ai_family, address.ai_socktype, address.ai_protocol)
        if socket >= 0 {
            _ = fcntl(socket, F_SETFL, fcntl(socket, F_GETFL) | O_NONBLOCK)
            _ = fcntl(socket, F_SETFD, FD_CLOEXEC)
        }
        return socket
        #endif
    }

    /// Returns why it failed, or `nil`.
    private static func connect(
        _ socket: CInt, to address: addrinfo, until deadline: ContinuousClock.Instant, isCancelled: () -> Bool
    ) -> String? {
        if systemConnect(socket, address.ai_addr, address.ai_addrlen) == 0 { return nil }
        guard errno == EINPROGRESS else { return SocketError.message(errno) }
        while true {
            let rest = deadline - .now
            guard rest > .zero, !isCancelled() else { return "no answer in time" }
            var item = pollfd(fd: socket, events: Int16(POLLOUT), revents: 0)
            guard poll(&item, 1, CInt(clamping: max(1, min(rest, longestSleep).wholeMilliseconds))) > 0 else {
                continue
            }
            var code: CInt = 0
            var size = socklen_t(MemoryLayout<CInt>.size)
            getsockopt(socket, SOL_SOCKET, SO_ERROR, &code, &size)
            return code == 0 ? nil : SocketError.message(code)
        }
    }

    private static var systemSocket: (CInt, CInt, CInt) -> CInt {
        #if canImport(Darwin)
        Darwin.socket
        #elseif canImport(Musl)
        Musl.socket
        #else
        Glibc.socket
        #endif
    }

    private static var systemConnect: (CInt, UnsafePointer<sockaddr>?, socklen_t) -> CInt {
        #if canImport(Darwin)
        Darwin.connect
        #elseif canImport(Musl)
        Musl.connect
        #else
        Glibc.connect
        #endif
    }
}

enum SocketError {
    static func message(_ code: CInt) -> String { String(cString: strerror(code)) }
}
#endif
