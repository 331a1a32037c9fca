// SPDX-License-Identifier: Apache-2.0

#if Redis
public import Martlet
import MartletSupport
import Synchronization

/// The board of the nodes that share a ``RedisLog``, on the same server.
///
/// | key, with the name `nodes` | content |
/// |---|---|
/// | `…:nodes` | a set: the names of the nodes that have posted |
/// | `…:nodes:NAME` | the posting of each node: 20 digits, which are its version, then its bytes. Expires |
/// | `…:nodes:one:NAME` | what one node takes, once. Expires |
/// | `…:nodes:said` | a stream of what nodes have said lately: `n` is who, and `d` what. Expires |
///
/// All methods may be called from anywhere. They throw ``/Martlet/MartletError``: `storageFailed` if the server is away
/// or refuses, `storageFull` if it has no room, `overloaded` if too many calls wait or the system starts no thread. A
/// call that fails is not repeated. The board has one connection with one thread, from the first call until it is
/// released.
public final class RedisBoard: NodeBoard, OneTimeStore, NodeChannel {
    /// The longest time that the server may take to answer, so that postings of nodes that live do not count as
    /// expired.
    private static let longestTimeout = Duration.seconds(2)
    /// The most calls that wait. A node makes one after the other.
    private static let mostCalls = 100
    private static let versionDigits = 20
    /// The most that is kept of what nodes have said, and for how long after the last of it.
    private static let mostSaid = 10_000
    private static let saidTime = Duration.seconds(86_400)
    /// The most that is heard at once.
    private static let mostHeard = 1000

    /// The name of a board where none is given.
    public static let defaultName = "nodes"

    public let maximumBytes: Int
    private let pool: ConnectionPool<RedisConnection>
    private let sockets = OpenSockets()
    private let nodesKey: String
    /// What this board says comes from here.
    private let speaker = NodeName()
    /// The id of what was heard last; `nil`: it does not listen yet.
    private let lastHeard = Mutex<String?>(nil)

    /// - Parameters:
    ///   - configuration: Where the stream is that the nodes share, and how long to wait for the server.
    ///   - name: The name of the board, in its keys. Boards of different names know nothing of each other.
    ///   - maximumBytes: The most bytes of a posting.
    public convenience init(
        _ configuration: RedisLogConfiguration, name: String = RedisBoard.defaultName,
        maximumBytes: Int = NodePosting.defaultMaximumBytes
    ) {
        self.init(configuration, name: name, maximumBytes: maximumBytes, startThread: WorkThread.starter)
    }

    init(
        _ configuration: RedisLogConfiguration, name: String = RedisBoard.defaultName, maximumBytes: Int,
        startThread: @escaping WorkThread.Starter
    ) {
        var configuration = configuration
        configuration.commandTimeout = min(configuration.commandTimeout, Self.longestTimeout)
        configuration.connectTimeout = min(configuration.connectTimeout, Self.longestTimeout)
        self.maximumBytes = maximumBytes
        pool = ConnectionPool(
            .init(connections: 1, queuedCalls: Self.mostCalls, patience: .zero), reachability: nil,
            startThread: startThread
        ) { [configuration, sockets] in try RedisConnection(to: configuration, sockets: sockets) }
        nodesKey = "\(configuration.stream):\(name)"
    }

    deinit {
        pool.stop()
        sockets.close()
    }

    private func run<Value: Sendable>(
        _ body: @escaping @Sendable (RedisConnection) throws -> Value
    ) async throws -> Value {
        do {
            try pool.start()
            return try await pool.run(body)
        } catch let error as ThreadError {
            throw MartletError(.overloaded, "\(error)")
        } catch let error as MartletError {
            throw error
        } catch {
            throw MartletError(.storageFailed, "The Redis server: \(error)")
        }
    }

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
        // In this order: `versions` of another node removes a name without a posting.
        let commands = [set, RedisCommand("SADD", nodesKey, node.text)]
        try await run { try $0.run(commands) }
    }

    public func renew(_ node: NodeName, for expiry: Duration) async throws -> Bool {
        let command = RedisCommand("PEXPIRE", key(of: node), "\(Self.milliseconds(of: expiry))")
        return try await run { try $0.run(command) { $0.integer == 1 } }
    }

    public func remove(_ node: NodeName) async throws {
        let commands = [RedisCommand("DEL", key(of: node)), RedisCommand("SREM", nodesKey, node.text)]
        try await run { try $0.run(commands) }
    }

    public func versions() async throws -> [NodeName: UInt64] {
        let command = RedisCommand("EVAL", RedisScript.versions.source, "1", nodesKey, "\(Self.versionDigits)")
        return try await run { connection in
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
        return try await run { connection in
            try connection.run(command) { reply in
                guard let data = reply.data,
                    let version = UInt64(String(decoding: data.prefix(Self.versionDigits), as: UTF8.self))
                else { return nil }
                return NodePosting(version: version, bytes: Array(data.dropFirst(Self.versionDigits)))
            }
        }
    }

    public var mostBytesSaid: Int { maximumBytes }

    public func say(_ bytes: [UInt8]) async throws {
        let key = "\(nodesKey):said"
        var add = RedisCommand("XADD", key, "MAXLEN", "~", "\(Self.mostSaid)", "*", "n", speaker.text, "d")
        add.append(bytes)
        let commands = [add, RedisCommand("PEXPIRE", key, "\(Self.saidTime.wholeMilliseconds)")]
        try await run { try $0.run(commands) }
    }

    public func hear(within time: Duration) async throws -> [[UInt8]] {
        guard let last = lastHeard.withLock({ $0 }) else {
            let newest = RedisCommand("XREVRANGE", "\(nodesKey):said", "+", "-", "COUNT", "1")
            let last = try await run { try $0.run(newest) { $0.elements.first?.elements.first?.text } }
            lastHeard.withLock { $0 = last ?? "0" }
            return []
        }
        let heard = try await said(after: last)
        guard heard.isEmpty else { return heard }
        try await Task.sleep(for: time)
        return try await said(after: last)
    }

    private func said(after last: String) async throws -> [[UInt8]] {
        let command = RedisCommand("XRANGE", "\(nodesKey):said", "(\(last)", "+", "COUNT", "\(Self.mostHeard)")
        let (entries, end) = try await run { [speaker] connection in
            try connection.run(command) { reply in
                let entries = reply.elements
                let others = entries.compactMap { entry -> [UInt8]? in
                    guard let fields = entry.elements.last?.elements.map({ $0.data.map { Array($0) } }),
                        fields.count == 4, fields[1] != Array(speaker.text.utf8)
                    else { return nil }
                    return fields[3]
                }
                return (others, entries.last?.elements.first?.text)
            }
        }
        if let end { lastHeard.withLock { $0 = end } }
        return entries
    }

    public func put(_ bytes: [UInt8], as name: String, for expiry: Duration) async throws {
        var set = RedisCommand("SET", "\(nodesKey):one:\(name)")
        set.append(bytes)
        set.append("PX")
        set.append(Self.milliseconds(of: expiry))
        try await run { [set] in try $0.run([set]) }
    }

    public func take(_ name: String) async throws -> [UInt8]? {
        let command = RedisCommand("EVAL", RedisScript.take.source, "1", "\(nodesKey):one:\(name)")
        return try await run { try $0.run(command) { $0.data.map { Array($0) } } }
    }
}
#endif
