// SPDX-License-Identifier: Apache-2.0

public import Martlet
public import ServiceLifecycle

/// Ends the streams of a hub when the process is asked to stop, before the server stops.
///
/// A service group stops its services in the reverse of their order and waits for each, so this one stands behind the
/// application: clients are told when to come back and are let go over the grace period, while the server still answers.
public struct DrainService: Service {
    private let hub: Hub

    public init(_ hub: Hub) { self.hub = hub }

    public func run() async throws {
        try? await gracefulShutdown()
        try await hub.drain()
    }
}
