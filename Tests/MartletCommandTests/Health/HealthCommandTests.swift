// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import Foundation
import Testing

@testable import MartletCommand

@Suite("martlet health")
struct HealthCommandTests {
    @Test("A hub that is ready passes")
    func ready() async throws {
        try await RunningHub.run { hub in
            try await HealthCommand.check(.interface("127.0.0.1"), port: hub.port)
        }
    }

    @Test("Where no hub listens, the exit code is 4", arguments: ["127.0.0.1", "unix:/nowhere/hub.sock"])
    func nowhere(host: String) async throws {
        let address = try #require(ListenAddress(host))
        // Nobody listens on port 1 of a machine for tests.
        let error = await #expect(throws: ClientError.self) { try await HealthCommand.check(address, port: 1) }
        #expect(error?.kind == .unreachable)
    }

    @Test("The options are those of serve, and are hidden in the help")
    func options() throws {
        let command = try RootCommand.parseAsRoot(["health", "--port", "9000", "--host", "::1"])
        #expect((command as? HealthCommand)?.options.texts == ["port": "9000", "host": "::1"])
        #expect(!RootCommand.helpMessage(for: HealthCommand.self).contains("--history-bytes"))
    }

    @Test("The URL names the interface, or the socket")
    func urls() {
        #expect(ListenAddress.interface("::1").url(port: 80, path: "/a") == "http://[::1]:80/a")
        #expect(ListenAddress.unix(path: "/run/hub").url(port: 80, path: "/a") == "http+unix://%2Frun%2Fhub/a")
    }
}
