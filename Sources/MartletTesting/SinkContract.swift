// SPDX-License-Identifier: Apache-2.0

public import Martlet

/// What a server does for the clients of a hub's streams, however it writes to them, as checks to run against one:
///
///     @Test(arguments: SinkContract.checks)
///     func myServerKeepsTheContract(check: SinkContract.Check) async throws {
///         let hub = check.hub()
///         try await withMyServer(of: hub) { port in try await check.run(hub, port: port) }
///     }
///
/// The server listens on this machine, has the routes of `addHub(_:)`, and runs the hub. A check speaks HTTP with it as a
/// client would. A server that breaks the contract may keep a check waiting, for as long as ``TestConnection/patience``.
public enum SinkContract {
    /// One promise. ``name`` says which.
    public struct Check: Sendable, Identifiable, CustomStringConvertible {
        public let name: String
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

        public var id: String { name }
        public var description: String { name }

        /// The hub that the check needs: in memory, with times that suit the check.
        ///
        /// - Parameter change: Chooses how the hub writes, such as the number of shards.
        public func hub(_ change: (inout HubConfiguration) -> Void = { _ in }) -> Hub {
            var configuration = configuration
            configuration.grace = .zero
            configuration.retry = .milliseconds(1234) ... .milliseconds(1234)
            change(&configuration)
            return Hub(log: MemoryLog(retention: retention), configuration: configuration)
        }

        /// - Parameters:
        ///   - hub: What ``hub(_:)`` returned, running.
        ///   - port: Where its server listens.
        /// - Throws: ``ContractViolation`` when the promise is broken; else what connecting or publishing throws.
        public func run(_ hub: Hub, port: Int) async throws {
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

        /// Waits until the hub has so many streams, and no feed that none of them reads.
        func streams(_ count: Int) async throws {
            try await TestConnection.withPatience { [hub] in
                while hub.streamCount != count || hub.feedCount > count { try await Task.sleep(for: .milliseconds(2)) }
            }
        }
    }

    static func with(_ change: (inout HubConfiguration) -> Void) -> HubConfiguration {
        var configuration = HubConfiguration()
        change(&configuration)
        return configuration
    }

    public static let checks: [Check] = deliveryChecks + endingChecks
}
