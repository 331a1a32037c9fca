// SPDX-License-Identifier: Apache-2.0

#if ServiceBus
import Martlet
import MartletTesting
import Synchronization
import TestSupport
import Testing

@testable import MartletServiceBus

@Suite("The contract of logs, kept by a Service Bus topic", .timeLimit(.minutes(10)))
struct ServiceBusLogContractTests {
    @Test("The log keeps the contract", arguments: LogContract.checks)
    func contract(check: LogContract.Check<any Log>) async throws {
        try await Nodes.with { nodes in
            try await check.run { nodes.log() }
        }
    }

    @Test("The log says what retention has removed", arguments: LogContract.retentionChecks)
    func retention(check: LogContract.Check<any Log>) async throws {
        try await Nodes.with { nodes in
            try await check.run { nodes.log(keeping: check.events) }
        }
    }

    @Test("A node that starts again has its history", arguments: LogContract.restartChecks)
    func restarts(check: LogContract.Check<RestartableLog>) async throws {
        // A node that starts again does not know the names of messages that it has removed before.
        guard !["removed before", "Removed events"].contains(where: check.name.contains) else { return }
        try await Nodes.with { nodes in
            try await check.run {
                RestartableLog({ nodes.log(keeping: check.events) }, crash: { await nodes.crash() })
            }
        }
    }

    @Test("Hubs on a topic do what the model does")
    func model() async throws {
        try await Nodes.with { nodes in
            var log = ModelledLog(keeping: 100_000) { nodes.log() }
            log.isPunctual = false
            // An id on a stream says how far its client is with the other publishers, too.
            log.streamsAnswers = false
            try await HubSimulation.run(log, operations: FuzzSettings.count ?? 1000, seed: FuzzSettings.seed)
        }
    }

    @Test("Nodes that share a topic keep the contract", arguments: LogContract.sharedChecks)
    func shared(check: LogContract.Check<[any Log]>) async throws {
        try await Nodes.with(subscriptions: 3) { nodes in
            try await check.run { BusDouble.names.prefix(3).map { nodes.log($0) } }
        }
    }

    @Test("Topics know the positions of others", arguments: LogContract.epochChecks)
    func epochs(check: LogContract.Check<[any Log]>) async throws {
        try await Nodes.with { first in
            try await Nodes.with { second in
                try await check.run { [first, second].map { $0.log { $0.lookupPatience = .milliseconds(5) } } }
            }
        }
    }
}
#endif
