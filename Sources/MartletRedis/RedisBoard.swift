// SPDX-License-Identifier: Apache-2.0

#if Redis
public import Martlet

/// The board of the nodes that share a ``RedisLog``, on the same server.
///
/// | key | |
/// |---|---|
/// | `…:nodes` | a set: the names of the nodes that have posted |
/// | `…:nodes:NAME` | the posting of each: 20 digits that are its version, and its bytes; expires |
///
/// Whoever asks for the versions removes the names of those whose postings have expired.
public final class RedisBoard: NodeBoard {
    /// How long the server may take to answer at most, so that the postings of others are told from old ones in time.
    private static let longestTimeout = Duration.seconds(2)
    private static let versionDigits = 20

    private static let versionsScript = """
        local found = {}
        for _, node in ipairs(redis.call('SMEMBERS', KEYS[1])) do
          local version = redis.call('GETRANGE', KEYS[1] .. ':' .. node, 0, \(versionDigits - 1))
          if version == '' then
            redis.call('SREM', KEYS[1], node)
          else
            found[#found + 1] = node
            found[#found + 1] = version
          end
        end
        return found
        """

    public let maximumBytes: Int
    private let worker: BoardWorker
    private let nodesKey: String

    /// - Parameter configuration: Where the stream is that the nodes share, and how long is waited for the server.
    public init(_ configuration: RedisLogConfiguration, maximumBytes: Int = NodePosting.defaultMaximumBytes) {
        var configuration = configuration
        configuration.commandTimeout = min(configuration.commandTimeout, Self.longestTimeout)
        configuration.connectTimeout = min(configuration.connectTimeout, Self.longestTimeout)
        self.maximumBytes = maximumBytes
        worker = BoardWorker(configuration)
        nodesKey = "\(configuration.stream):nodes"
    }

    deinit { worker.stop() }

    private func key(of node: NodeName) -> String { "\(nodesKey):\(node)" }

    private static func milliseconds(of expiry: Duration) -> Int64 { max(1, expiry.wholeMilliseconds) }

    public func post(_ posting: NodePosting, as node: NodeName, for expiry: Duration) async throws {
        try check(posting)
        let digits = String(posting.version)
        let version = String(repeating: "0", count: Self.versionDigits - digits.utf8.count) + digits
        var set = RedisCommand("SET", key(of: node))
        set.append(Array(version.utf8) + posting.bytes)
        set.append("PX")
        set.append(Self.milliseconds(of: expiry))
        // In this order: a name without a posting is removed by whoever comes between.
        let commands = [set, RedisCommand("SADD", nodesKey, node.text)]
        try await worker.run { try $0.run(commands) }
    }

    public func renew(_ node: NodeName, for expiry: Duration) async throws -> Bool {
        let command = RedisCommand("PEXPIRE", key(of: node), "\(Self.milliseconds(of: expiry))")
        return try await worker.run { try $0.run(command) { $0.integer == 1 } }
    }

    public func remove(_ node: NodeName) async throws {
        let commands = [RedisCommand("DEL", key(of: node)), RedisCommand("SREM", nodesKey, node.text)]
        try await worker.run { try $0.run(commands) }
    }

    public func versions() async throws -> [NodeName: UInt64] {
        let command = RedisCommand("EVAL", Self.versionsScript, "1", nodesKey)
        return try await worker.run { connection in
            try connection.run(command) { reply in
                var versions: [NodeName: UInt64] = [:]
                let texts = reply.elements.map(\.text)
                for index in stride(from: 0, to: texts.count - 1, by: 2) {
                    guard let node = texts[index], let version = texts[index + 1].flatMap({ UInt64($0) }) else {
                        continue
                    }
                    versions[NodeName(text: node)] = version
                }
                return versions
            }
        }
    }

    public func posting(of node: NodeName) async throws -> NodePosting? {
        let command = RedisCommand("GET", key(of: node))
        return try await worker.run { connection in
            try connection.run(command) { reply in
                guard let data = reply.data,
                    let version = UInt64(String(decoding: data.prefix(Self.versionDigits), as: UTF8.self))
                else { return nil }
                return NodePosting(version: version, bytes: Array(data.dropFirst(Self.versionDigits)))
            }
        }
    }
}
#endif
