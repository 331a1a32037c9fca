// SPDX-License-Identifier: Apache-2.0

#if Redis
import Foundation
import Martlet
import MartletTesting
import TestSupport
import Testing

@testable import MartletRedis

@Suite("The board of nodes, on a Redis server", .timeLimit(.minutes(10)))
struct RedisBoardTests {
    @Test("The board keeps the contract", arguments: NodeBoardContract.checks)
    func contract(check: NodeBoardContract.Check) async throws {
        try await RedisServer.with { server in
            try await check.run {
                let nodes = (0..<2).map { _ in
                    RedisBoard(server.configuration, maximumBytes: NodeBoardContract.maximumBytes)
                }
                return SharedBoard(nodes: nodes) { try await Task.sleep(for: $0) }
            }
        }
    }

    @Test("What nodes say keeps the contract", arguments: NodeChannelContract.checks)
    func channel(check: NodeChannelContract.Check) async throws {
        try await RedisServer.with { server in
            try await check.run { (0..<2).map { _ in RedisBoard(server.configuration) } }
        }
    }

    @Test("Boards of different streams have nothing in common, and postings leave nothing behind")
    func streams() async throws {
        try await RedisServer.with { server in
            var other = server.configuration
            other.stream = "other"
            let (a, b) = (RedisBoard(server.configuration), RedisBoard(other))
            let node = NodeName()
            try await a.post(NodePosting(version: .max, bytes: [0xFF]), as: node, for: .seconds(3600))
            #expect(try await a.versions() == [node: .max])
            #expect(try await b.versions().isEmpty)
            #expect(try await b.posting(of: node) == nil)
            #expect(try await RedisBoard(server.configuration, name: "hooks").versions().isEmpty)
            // As if it had expired: the next look-up removes the name.
            try server.run("DEL", "martlet:nodes:\(node)")
            #expect(try await a.versions().isEmpty)
            #expect(try server.run("DBSIZE") == "0")
            try await a.post(NodePosting(version: 1, bytes: []), as: node, for: .seconds(3600))
            try await a.remove(node)
            #expect(try server.run("DBSIZE") == "0")
        }
    }

    @Test("Calls fail while the server is away, and work again when it is back")
    func away() async throws {
        try await RedisServer.with { server in
            let board = RedisBoard(server.configuration)
            let node = NodeName()
            try await board.post(NodePosting(version: 1, bytes: [1]), as: node, for: .seconds(3600))
            server.kill()
            for _ in 0..<2 {
                await #expect(throws: MartletError.self) { try await board.versions() }
            }
            try await server.start()
            #expect(try await board.versions().isEmpty)
            #expect(try await !board.renew(node, for: .seconds(1)))
            try await board.post(NodePosting(version: 2, bytes: [2]), as: node, for: .seconds(3600))
            #expect(try await board.posting(of: node)?.bytes == [2])
        }
    }

    @Test("Calls to a server that does not answer fail before the postings of others expire")
    func silent() async throws {
        try await RedisServer.with { server in
            var configuration = server.configuration
            configuration.commandTimeout = .milliseconds(500)
            let board = RedisBoard(configuration)
            try await until { (try? await board.versions()) == [:] }
            server.signal(SIGSTOP)
            await #expect(throws: MartletError.self) { try await board.versions() }
            server.signal(SIGCONT)
            try await until { (try? await board.versions()) == [:] }
        }
    }
}
#endif
