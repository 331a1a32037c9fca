// SPDX-License-Identifier: Apache-2.0

package import Foundation
import Synchronization

/// A program that a test starts.
///
/// It gets its standard streams and no other descriptor of the tests. `Foundation.Process` notices the end of a child by a
/// socket that a child started at the same moment may inherit, and then waits for that one, too.
package final class ChildProcess: Sendable {
    package let id: pid_t
    /// How it ended, as `waitpid` says it.
    private let end = Mutex<Int32?>(nil)

    /// - Parameters:
    ///   - arguments: The program, which is searched for in `PATH`, and its arguments.
    ///   - input: The descriptor that it reads as its standard input; by default there is nothing to read.
    ///   - output: The descriptor that its standard output goes to. By default it is dropped, as errors are.
    package init(_ arguments: [String], input: Int32? = nil, output: Int32? = nil) throws {
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        if let input {
            posix_spawn_file_actions_adddup2(&actions, input, STDIN_FILENO)
        } else {
            posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0)
        }
        if let output {
            posix_spawn_file_actions_adddup2(&actions, output, STDOUT_FILENO)
        } else {
            posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, "/dev/null", O_WRONLY, 0)
        }
        posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, "/dev/null", O_WRONLY, 0)
        for other in STDERR_FILENO + 1..<1024 { posix_spawn_file_actions_addclose(&actions, other) }
        var words = arguments.map { strdup($0) } + [nil]
        defer { for word in words { free(word) } }
        var id = pid_t()
        let error = posix_spawnp(&id, words[0]!, &actions, nil, &words, environ)
        guard error == 0 else { throw POSIXError(POSIXErrorCode(rawValue: error) ?? .EINVAL) }
        self.id = id
    }

    deinit { kill() }

    package var isRunning: Bool { reap(WNOHANG) == nil }

    /// Waits until it has ended, and returns what it exited with, or 128 and the signal that ended it.
    package func exitStatus() async throws -> Int32 {
        try await until { !self.isRunning }
        let end = reap(0) ?? 0
        return end & 0x7F == 0 ? end >> 8 & 0xFF : 128 + end & 0x7F
    }

    /// Sends a signal while it runs.
    package func signal(_ signal: Int32) {
        end.withLock { if $0 == nil { _ = Foundation.kill(id, signal) } }
    }

    /// Ends it as a crash does, and returns when it has ended.
    package func kill() {
        signal(SIGKILL)
        _ = reap(0)
    }

    private func reap(_ options: Int32) -> Int32? {
        end.withLock { end in
            var status: Int32 = 0
            if end == nil, waitpid(id, &status, options) == id { end = status }
            return end
        }
    }
}
