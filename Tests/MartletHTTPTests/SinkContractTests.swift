// SPDX-License-Identifier: Apache-2.0

import Martlet
import MartletTesting
import TestSupport
import Testing

@Suite(.serialized) struct SinkContractTests {
    /// Without shards streams are written to from the event loops; with them, sockets are handed off.
    @Test(.timeLimit(.minutes(3)), arguments: SinkContract.checks, [0, 2])
    func `both kinds of sinks keep the contract`(check: SinkContract.Check, shards: Int) async throws {
        let hub = check.hub { $0.shards = shards }
        try await TestServer.run(hub: hub) { server in try await check.run(hub, port: server.port) }
    }
}
