// SPDX-License-Identifier: Apache-2.0

#if Redis
import Foundation
import Martlet
import MartletSupport
import Synchronization
import TestSupport
import Testing

@testable import MartletRedis

@Suite("A Redis log without threads", .timeLimit(.minutes(10)))
struct ThreadTests {
    /// Starts so many threads, then none.
    private func starter(of count: Int) -> WorkThread.Starter {
        let left = Threads(count)
        return { body throws(ThreadError) in
            guard left.take() else { throw ThreadError(EAGAIN) }
            try WorkThread.start(body)
        }
    }

    private final class Threads: Sendable {
        private let left: Mutex<Int>

        init(_ count: Int) { left = Mutex(count) }

        func take() -> Bool {
            left.withLock { left in
                left -= 1
                return left >= 0
            }
        }
    }

    /// The tail, the publisher and the readers have one each.
    @Test("Opening fails at once if any thread cannot start", arguments: 0..<6)
    func opening(threads: Int) async throws {
        try await RedisServer.with { server in
            let log = RedisLog(server.configuration, logger: quiet, startThread: starter(of: threads))
            for _ in 0..<2 {
                let error = await #expect(throws: RedisLogError.self) { try await log.open() }
                #expect(error?.description.contains("ulimit -u") == true)
            }
            await #expect(throws: MartletError.self) { try await log.append("a", "1") }
            await log.close()
        }
    }

    @Test("A log with all its threads opens")
    func enough() async throws {
        try await RedisServer.with { server in
            let log = RedisLog(server.configuration, logger: quiet, startThread: starter(of: 6))
            _ = try await log.open()
            try await log.append("a", "1")
            #expect(try await log.texts() == ["1"])
            await log.close()
        }
    }

    @Test("A board without a thread fails, and works once it can start one")
    func board() async throws {
        try await RedisServer.with { server in
            let hasThread = Mutex(false)
            let board = RedisBoard(server.configuration, maximumBytes: 100) { body throws(ThreadError) in
                guard hasThread.withLock({ $0 }) else { throw ThreadError(EAGAIN) }
                try WorkThread.start(body)
            }
            let error = await #expect(throws: MartletError.self) { try await board.versions() }
            #expect(error?.code == .overloaded)
            hasThread.withLock { $0 = true }
            let versions = try await board.versions()
            #expect(versions.isEmpty)
        }
    }
}
#endif
