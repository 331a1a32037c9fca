// SPDX-License-Identifier: Apache-2.0

import Dispatch

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#else
import Darwin
#endif

/// A standard stream of this process, without a buffer. Waiting for it blocks no thread that runs tasks.
struct StandardStream: Sendable {
    static let input = StandardStream(descriptor: STDIN_FILENO, name: "input")
    static let output = StandardStream(descriptor: STDOUT_FILENO, name: "output")
    static let error = StandardStream(descriptor: STDERR_FILENO, name: "error")

    private let descriptor: Int32
    private let name: String
    private let queue: DispatchQueue

    init(descriptor: Int32, name: String) {
        self.descriptor = descriptor
        self.name = name
        queue = DispatchQueue(label: "martlet.\(name)")
    }

    /// Makes writing to a closed pipe an error that does not end the process.
    static func ignoreBrokenPipes() { signal(SIGPIPE, SIG_IGN) }

    var isTerminal: Bool { isatty(descriptor) == 1 }

    /// Whether reading would return at once, with bytes or with the end.
    var isReadable: Bool { wait(for: POLLIN, within: 0) }

    /// The next bytes, at most `count`, as soon as there are any; none at the end.
    func receive(upTo count: Int) async throws -> [UInt8] {
        try await onQueue {
            var buffer = [UInt8](repeating: 0, count: count)
            while true {
                // The system writes at most as many bytes as the buffer has. The buffer does not move during the call.
                let received = buffer.withUnsafeMutableBytes { read(descriptor, $0.baseAddress, $0.count) }
                if received >= 0 { return Array(buffer.prefix(received)) }
                try waitOrThrow(for: POLLIN, "cannot read standard \(name)")
            }
        }
    }

    /// Writes all bytes, as fast as the reader takes them.
    ///
    /// - Returns: Whether the stream still has a reader.
    func send(_ bytes: [UInt8]) async throws -> Bool {
        try await onQueue { try sendAll(bytes) }
    }

    /// Writes a line for the user, if the stream has a reader. Control characters are escaped.
    func note(_ line: String) { _ = try? sendAll(Array("martlet: \(line.visible)\n".utf8)) }

    /// Calls `act` once the reader has closed the stream, if the system reports that.
    func onceUnread(_ act: @escaping @Sendable () -> Void) {
        DispatchQueue(label: "martlet.\(name).unread").async {
            // Without an event to wait for, the system only reports that the other side is closed.
            if wait(for: 0, within: -1) { act() }
        }
    }

    /// Blocks the thread until all bytes are written. Returns `false` if the other side is closed.
    func sendAll(_ bytes: [UInt8]) throws -> Bool {
        var rest = bytes[...]
        while !rest.isEmpty {
            // The system reads at most as many bytes as there are. They do not move during the call.
            let count = rest.withUnsafeBytes { write(descriptor, $0.baseAddress, $0.count) }
            if count >= 0 {
                rest.removeFirst(count)
            } else if errno == EPIPE {
                return false
            } else {
                try waitOrThrow(for: POLLOUT, "cannot write standard \(name)")
            }
        }
        return true
    }

    /// Another program may have made the descriptor non-blocking.
    private func waitOrThrow(for events: Int32, _ action: String) throws(ClientError) {
        switch errno {
        case EINTR: break
        case EAGAIN: _ = wait(for: events, within: -1)
        default: throw .system(action)
        }
    }

    /// - Parameter timeout: In milliseconds; -1 for none.
    private func wait(for events: Int32, within timeout: Int32) -> Bool {
        var entry = pollfd(fd: descriptor, events: Int16(events), revents: 0)
        while true {
            let count = poll(&entry, 1, timeout)
            if count >= 0 { return count > 0 }
            guard errno == EINTR else { return false }
        }
    }

    private func onQueue<Value: Sendable>(_ body: @escaping @Sendable () throws -> Value) async throws -> Value {
        try await withCheckedThrowingContinuation { continuation in
            queue.async { continuation.resume(with: Result { try body() }) }
        }
    }
}
