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
/// What a socket is ready for is told once, when it becomes so: it has to be read until nothing is left.
final class EventPoll {
    /// What has happened to the socket that was added with a token.
    struct Event {
        let token: UInt64
        let isWritable: Bool
        /// Whether the server has sent all that it ever will.
        let isClosed: Bool
    }

    /// How many events are taken at once. Between two batches events are published.
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

    /// Waits until something happens, a signal comes or the time is over.
    ///
    /// - Returns: How many events there are to ask for.
    func wait(milliseconds: Int) -> Int {
        Int(max(martlet_poller_wait(descriptor, &ready, Int32(ready.count), Int32(milliseconds)), 0))
    }

    /// An event of the last wait.
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

    /// - Throws: ``BenchError`` always.
    init() throws(BenchError) {
        throw BenchError("bench needs Linux, with whose epoll it measures; run it there or in a container")
    }

    func add(_ socket: StreamSocket, token: UInt64) throws(BenchError) {}
    func wait(milliseconds: Int) -> Int { 0 }
    func event(_ index: Int) -> Event { Event(token: 0, isWritable: false, isClosed: false) }
    #endif
}
