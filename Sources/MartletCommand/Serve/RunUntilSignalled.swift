// SPDX-License-Identifier: Apache-2.0

import Foundation
import Logging
import ServiceLifecycle
import UnixSignals

/// Runs the services until SIGTERM or SIGINT, which shuts them down gracefully from the last to the first.
///
/// A second signal ends the process at once, with 128 plus the signal's number as the exit code.
///
/// - Parameters:
///   - patience: How long the services may take to shut down before they are cancelled.
///   - onHangup: Called on SIGHUP, one call after the other. Signals that arrive during a call are one more call.
/// - Throws: The error of the first service that fails, after the others were cancelled.
func runUntilSignalled(
    services: [ServiceGroupConfiguration.ServiceConfiguration],
    patience: Duration,
    logger: Logger,
    onHangup: @escaping @Sendable () async -> Void
) async throws {
    let signals = await UnixSignalsSequence(trapping: .sigterm, .sigint, .sighup)
    try await run(
        services: services, until: signals, patience: patience, logger: logger, onHangup: onHangup
    ) { _exit(128 + $0.rawValue) }
}

/// Runs the services until the first of `signals` other than SIGHUP.
///
/// - Parameters:
///   - patience: How long the services may take to shut down before they are cancelled.
///   - onHangup: Called on SIGHUP, until the services shut down.
///   - abort: Called for each further signal that arrives before the services have ended.
func run(
    services: [ServiceGroupConfiguration.ServiceConfiguration],
    until signals: some AsyncSequence<UnixSignal, Never> & Sendable,
    patience: Duration,
    logger: Logger,
    onHangup: @escaping @Sendable () async -> Void,
    abort: @escaping @Sendable (UnixSignal) -> Void
) async throws {
    var configuration = ServiceGroupConfiguration(services: services, logger: logger)
    configuration.maximumGracefulShutdownDuration = patience
    let group = ServiceGroup(configuration: configuration)
    // Apart from the signals, so that none waits for it.
    let (hangups, hangup) = AsyncStream.makeStream(of: Void.self, bufferingPolicy: .bufferingNewest(1))
    try await withThrowingTaskGroup { tasks in
        tasks.addTask { for await _ in hangups { await onHangup() } }
        tasks.addTask {
            var isStopping = false
            for await signal in signals {
                if signal == .sighup {
                    if isStopping { logger.info("Ignoring SIGHUP while shutting down") } else { hangup.yield() }
                } else if isStopping {
                    abort(signal)
                } else {
                    isStopping = true
                    logger.info("Shutting down on \(signal); a second signal ends the process at once")
                    await group.triggerGracefulShutdown()
                }
            }
        }
        do {
            try await group.run()
        } catch is CancellationError {
            logger.notice("Closing connections that did not end in time")
        }
        tasks.cancelAll()
    }
}
