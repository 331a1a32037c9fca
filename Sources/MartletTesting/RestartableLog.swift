// SPDX-License-Identifier: Apache-2.0

public import Martlet

/// A log whose history outlives its instances, such as one in a file or on a server, to be opened again and again.
///
///     try await check.run {
///         let file = try TemporaryFile()
///         return RestartableLog { MyLog(file, keeping: check.events) }
///     }
public struct RestartableLog: Sendable {
    let make: @Sendable () async throws -> any Log
    let crash: @Sendable () async throws -> Void

    /// - Parameters:
    ///   - make: Makes an instance, not opened yet, on what the one before has left.
    ///   - crash: Called instead of ``Log/close()`` while the instance is still there, and nothing more is called on it
    ///     afterwards. Where an instance tidies up when it is released, this has to bring about what the end of its
    ///     process would leave: by copying the file as it is now, for one, and having the next instance open the copy.
    public init(
        _ make: @escaping @Sendable () async throws -> any Log, crash: @escaping @Sendable () async throws -> Void = {}
    ) {
        self.make = make
        self.crash = crash
    }

    /// How an instance ends.
    enum Ending: String, CaseIterable, Sendable {
        case close = "a clean close"
        case crash = "a crash"
    }

    /// Ends an instance and makes the next.
    func restart(_ log: any Log, by ending: Ending) async throws -> any Log {
        switch ending {
        case .close: await log.close()
        case .crash: try await crash()
        }
        return try await make()
    }
}
