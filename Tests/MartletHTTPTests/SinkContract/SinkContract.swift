// SPDX-License-Identifier: Apache-2.0

import Martlet
import MartletTesting
import TestSupport
import Testing

@Suite(.serialized) struct SinkContractTests {
    /// Without shards streams are written to from the event loops; with them, sockets are handed off.
    @Test("Both kinds of sinks keep the contract", .timeLimit(.minutes(10)), arguments: SinkContract.checks, [0, 2])
    func bothKindsOfSinksKeep(check: SinkContract.Check, shards: Int) async throws {
        let hub = check.hub { $0.shards = shards }
        try await TestServer.run(hub: hub) { server in try await check.run(hub, port: server.port) }
    }
}

/// The contract of the sinks that write the streams of a hub, as checks over HTTP against a server with `addHub(_:)`.
enum SinkContract {
    /// One promise of the contract.
    struct Check: Sendable, Identifiable, CustomStringConvertible {
        let name: String
        private let retention: Retention
        private let configuration: HubConfiguration
        private let body: @Sendable (Server) async throws -> Void

        init(
            _ name: String, retention: Retention = Retention(events: .max, bytes: .max),
            configuration: HubConfiguration = HubConfiguration(),
            body: @escaping @Sendable (Server) async throws -> Void
        ) {
            self.name = name
            self.retention = retention
            self.configuration = configuration
            self.body = body
        }

        var id: String { name }
        var description: String { name }

        /// The hub that the check needs.
        ///
        /// - Parameter change: Selects a kind of sink, such as the number of shards.
        func hub(_ change: (inout HubConfiguration) -> Void = { _ in }) -> Hub {
            var configuration = configuration
            configuration.grace = .zero
            configuration.retry = .milliseconds(1234) ... .milliseconds(1234)
            change(&configuration)
            return Hub(log: MemoryLog(retention: retention), configuration: configuration)
        }

        /// - Parameters:
        ///   - hub: The result of ``hub(_:)``, running.
        ///   - port: The port of its server.
        func run(_ hub: Hub, port: Int) async throws {
            do {
                try await body(Server(hub: hub, port: port))
            } catch var violation as ContractViolation {
                violation.check = name
                throw violation
            }
        }
    }

    /// A hub with its server, as a check sees it.
    struct Server: Sendable {
        let hub: Hub
        let port: Int

        func connect(
            _ topic: String, lastEventID: String = "", version: String = "1.1"
        ) async throws -> TestEventSource {
            try await TestEventSource(
                port: port, path: "/events/\(topic)", lastEventID: lastEventID, version: version)
        }

        /// Waits until the hub has this many streams, and no feed without a reader.
        func streams(_ count: Int) async throws {
            try await until { hub.streamCount == count && hub.feedCount <= count }
        }
    }

    static func with(_ change: (inout HubConfiguration) -> Void) -> HubConfiguration {
        var configuration = HubConfiguration()
        change(&configuration)
        return configuration
    }

    static let checks: [Check] = deliveryChecks + endingChecks
}
