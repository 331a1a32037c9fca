// SPDX-License-Identifier: Apache-2.0

import Dispatch

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#else
import Darwin
#endif

/// A standard stream of this process, which is read and written without a buffer in between.
///
/// Whoever waits for it holds up no thread that tasks run on.
struct StandardStream: Sendable {
    static let input = StandardStream(descriptor: STDIN_FILENO, name: "input")
    static let output = StandardStream(descriptor: STDOUT_FILENO, name: "output")
    static let error = StandardStream(descriptor: STDERR_FILENO, name: "error")

    private let descriptor: Int32
    private let name: String
    private let queue: DispatchQueue

    private init(descriptor: Int32, name: String) {
        self.descriptor = descriptor
        self.name = name
        queue = DispatchQueue(label: "martlet.\(name)")
    }

    /// Has writing to what nobody reads fail, in place of ending the process.
    static func ignoreBrokenPipes() { signal(SIGPIPE, SIG_IGN) }

    var isTerminal: Bool { isatty(descriptor) == 1 }

    /// Whether there is something to read, or the end, without waiting.
    var isReadable: Bool { wait(for: POLLIN, within: 0) }

    /// The next bytes, as soon as there are any, but not more than so many; none at the end.
    func receive(upTo count: Int) async throws -> [UInt8] {
        try await onQueue {
            var buffer = [UInt8](repeating: 0, count: count)
            while true {
                // The system writes at most as many bytes as the buffer has, which stays where it is during the call.
                let received = buffer.withUnsafeMutableBytes { read(descriptor, $0.baseAddress, $0.count) }
                if received >= 0 { return Array(buffer.prefix(received)) }
                try waitOrThrow(for: POLLIN, "cannot read standard \(name)")
            }
        }
    }

    /// Writes all of it, as fast as it is read.
    ///
    /// - Returns: Whether somebody reads it.
    func send(_ bytes: [UInt8]) async throws -> Bool {
        try await onQueue { try sendAll(bytes) }
    }

    /// Writes a line for the user, whether it is read or not. What controls a terminal is escaped.
    func note(_ line: String) { _ = try? sendAll(Array("martlet: \(line.visible)\n".utf8)) }

    /// Calls something once nobody reads any more what is written. Where that does not show, it never does.
    func onceUnread(_ act: @escaping @Sendable () -> Void) {
        DispatchQueue(label: "martlet.\(name).unread").async {
            // Without an event to wait for, only the end of the other side is told.
            if wait(for: 0, within: -1) { act() }
        }
    }

    private func sendAll(_ bytes: [UInt8]) throws -> Bool {
        var rest = bytes[...]
        while !rest.isEmpty {
            // The system reads at most as many bytes as there are, which stay where they are during the call.
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

    /// Another program may have made the descriptor one that does not block.
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
