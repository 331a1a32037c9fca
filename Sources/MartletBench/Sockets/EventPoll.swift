// SPDX-License-Identifier: Apache-2.0

#if canImport(CLinux)
import CLinux
#endif

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#else
import Darwin
#endif

/// Waits for sockets, with Linux's `epoll`.
///
/// A socket is reported once, when it becomes ready (edge-triggered), so its owner must read until nothing is left.
final class EventPoll {
    /// What happened to a socket.
    struct Event {
        /// The token with which the socket was added.
        let token: UInt64
        let isWritable: Bool
        /// Whether the server sends nothing more.
        let isClosed: Bool
    }

    /// The most events of one wait. The generator publishes between two waits.
    static let batch = 256

    #if canImport(CLinux)
    static let isSupported = true

    private let descriptor: Int32
    private var ready = [martlet_event](repeating: martlet_event(), count: batch)

    /// - Throws: ``BenchError`` if the system refuses.
    init() throws(BenchError) {
        descriptor = martlet_poller_create()
        guard descriptor >= 0 else { throw .system("cannot wait for events") }
    }

    deinit {
        close(descriptor)
    }

    /// Watches a socket until it is closed.
    func add(_ socket: StreamSocket, token: UInt64) throws(BenchError) {
        guard martlet_poller_add(descriptor, socket.descriptor, token) == 0 else {
            throw .system("cannot watch a socket")
        }
    }

    /// Waits until a socket is ready, a signal arrives or the time is over.
    ///
    /// - Returns: The number of events.
    func wait(milliseconds: Int) -> Int {
        Int(max(martlet_poller_wait(descriptor, &ready, Int32(ready.count), Int32(milliseconds)), 0))
    }

    /// An event of the last wait, by its index.
    func event(_ index: Int) -> Event {
        let event = ready[index]
        return Event(
            token: event.token,
            isWritable: event.bits & UInt32(martlet_event_writable) != 0,
            isClosed: event.bits & UInt32(martlet_event_closed) != 0
        )
    }
    #else
    static let isSupported = false

    /// - Throws: ``BenchError``, always.
    init() throws(BenchError) {
        throw BenchError("bench needs epoll; run it on Linux or in a container")
    }

    func add(_ socket: StreamSocket, token: UInt64) throws(BenchError) {}
    func wait(milliseconds: Int) -> Int { 0 }
    func event(_ index: Int) -> Event { Event(token: 0, isWritable: false, isClosed: false) }
    #endif
}
