// SPDX-License-Identifier: Apache-2.0

import Logging
import ServiceLifecycle
import TestSupport
import Testing
import UnixSignals

@testable import MartletCommand

@Suite("Running until a signal")
struct RunUntilSignalledTests {
    /// A service that runs a closure.
    private struct Work: Service {
        let body: @Sendable () async throws -> Void

        func run() async throws {
            try await body()
        }
    }

    private struct Failure: Error {}

    private let signals = AsyncStream<UnixSignal>.makeStream()

    private func runWork(
        logger: Logger = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() },
        onHangup: @escaping @Sendable () async -> Void = { Issue.record("SIGHUP") },
        abort: @escaping @Sendable (UnixSignal) -> Void = { Issue.record("Aborted by \($0)") },
        body: @escaping @Sendable () async throws -> Void
    ) async throws {
        try await run(
            services: [.init(service: Work(body: body))],
            until: signals.stream,
            patience: .seconds(60),
            logger: logger,
            onHangup: onHangup,
            abort: abort
        )
    }

    @Test("The first signal shuts the services down gracefully", arguments: [UnixSignal.sigterm, .sigint])
    func firstSignal(signal: UnixSignal) async throws {
        signals.continuation.yield(signal)
        try await confirmation { shutDown in
            try await runWork {
                try await gracefulShutdown()
                shutDown()
            }
        }
    }

    @Test("SIGHUP calls back, no other signal waits for that, and during a shutdown it is ignored")
    func hangup() async throws {
        let log = RecordingLog()
        let (calls, call) = AsyncStream<Void>.makeStream()
        signals.continuation.yield(.sighup)
        try await runWork(
            logger: log.logger,
            onHangup: {
                call.yield()
                // Until the services have ended.
                try? await Task.sleep(for: .seconds(3600))
            },
            body: { [signals] in
                _ = await calls.first { _ in true }
                for signal in [UnixSignal.sighup, .sigterm, .sighup] { signals.continuation.yield(signal) }
                try await gracefulShutdown()
                try await until { log.lines.contains { $0.hasPrefix("info Ignoring SIGHUP") } }
            })
    }

    @Test("A second signal aborts services that are still shutting down")
    func secondSignal() async throws {
        let (aborted, abort) = AsyncStream<UnixSignal>.makeStream()
        signals.continuation.yield(.sigterm)
        signals.continuation.yield(.sigint)
        try await runWork(
            abort: { abort.yield($0) },
            body: {
                try await gracefulShutdown()
                #expect(await aborted.first { _ in true } == .sigint)
            }
        )
    }

    @Test("A service's error ends the run")
    func failure() async throws {
        await #expect(throws: Failure.self) {
            try await runWork { throw Failure() }
        }
    }
}
