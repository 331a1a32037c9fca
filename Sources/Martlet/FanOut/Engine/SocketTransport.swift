// SPDX-License-Identifier: Apache-2.0

#if os(Linux)
import Glibc

/// Real sockets, which do not block.
struct SocketTransport: Transport {
    /// The most that a client may send at once behind its request; a stream is for reading.
    private static let mostInput = 16 * chunk
    private static let chunk = 64 * 1024

    /// Has a socket send small events at once, and give up a peer that acknowledges nothing for too long.
    static func prepare(_ socket: Int32, timeout: Duration) {
        var on: Int32 = 1
        setsockopt(socket, Int32(IPPROTO_TCP), TCP_NODELAY, &on, socklen_t(MemoryLayout<Int32>.size))
        var milliseconds = UInt32(clamping: timeout.milliseconds)
        setsockopt(socket, Int32(IPPROTO_TCP), TCP_USER_TIMEOUT, &milliseconds, socklen_t(MemoryLayout<UInt32>.size))
    }

    private var scratch = [UInt8](repeating: 0, count: chunk)

    mutating func send(_ bytes: UnsafeRawBufferPointer, to socket: Int32) -> SendResult {
        while true {
            let count = Glibc.send(socket, bytes.baseAddress, bytes.count, Int32(MSG_NOSIGNAL | MSG_DONTWAIT))
            if count >= 0 { return .sent(count) }
            switch errno {
            case EINTR: continue
            case EAGAIN, ENOBUFS: return .sent(0)
            default: return .broken
            }
        }
    }

    mutating func discardInput(of socket: Int32) -> Bool {
        var total = 0
        while total < Self.mostInput {
            let count = recv(socket, &scratch, scratch.count, Int32(MSG_DONTWAIT))
            if count > 0 {
                total += count
            } else if count < 0, errno == EINTR {
                continue
            } else {
                return count < 0 && errno == EAGAIN
            }
        }
        return false
    }

    mutating func finish(_ socket: Int32) { shutdown(socket, Int32(SHUT_WR)) }

    mutating func close(_ socket: Int32) { Glibc.close(socket) }
}
#endif
