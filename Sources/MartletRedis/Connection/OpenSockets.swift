// SPDX-License-Identifier: Apache-2.0

#if Redis
import Synchronization

#if canImport(Darwin)
import Darwin
#elseif canImport(Musl)
import Musl
#else
import Glibc
#endif

/// The sockets of a log, so that threads which wait for the server can be told to stop.
final class OpenSockets: Sendable {
    private struct State {
        var sockets: Set<Int32> = []
        var isClosed = false
    }

    private let state = Mutex(State())

    /// Returns whether the log is still open.
    func insert(_ socket: Int32) -> Bool {
        state.withLock { state in
            if !state.isClosed { state.sockets.insert(socket) }
            return !state.isClosed
        }
    }

    /// Called before the socket is closed: its number may be another's then.
    func remove(_ socket: Int32) { state.withLock { _ = $0.sockets.remove(socket) } }

    var isClosed: Bool { state.withLock { $0.isClosed } }

    /// Ends all connections. Whoever waits for an answer is told that none comes.
    func close() {
        state.withLock { state in
            state.isClosed = true
            for socket in state.sockets { shutdown(socket, Int32(SHUT_RDWR)) }
        }
    }
}
#endif
