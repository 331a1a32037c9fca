// SPDX-License-Identifier: Apache-2.0

#if Redis
import Martlet
import MartletSupport

/// The commands of a ``RedisLog``, on one connection.
struct StreamConnection {
    let connection: RedisConnection
    let configuration: RedisLogConfiguration
    let keys: StreamKeys
    /// The names under which the server has stored the scripts.
    private let hashes: [RedisScript: String]

    /// Connects, and stores the scripts on the server.
    ///
    /// - Parameter scripts: The scripts that this connection runs.
    init(
        _ configuration: RedisLogConfiguration, sockets: OpenSockets, scripts: [RedisScript],
        extraTime: Duration = .zero
    ) throws {
        connection = try RedisConnection(to: configuration, sockets: sockets, extraTime: extraTime)
        self.configuration = configuration
        keys = StreamKeys(configuration.stream)
        var hashes: [RedisScript: String] = [:]
        for script in scripts {
            hashes[script] = try connection.run(RedisCommand("SCRIPT", "LOAD", script.source)) { $0.text }
        }
        self.hashes = hashes
    }

    // MARK: Scripts

    /// Opens the stream, and begins it if there is none.
    ///
    /// - Parameter known: The newest entry that this node has seen, and its epoch.
    func open(known: StreamPlace?) throws -> StreamState {
        var command = script(.open)
        command.append(Epoch().text)
        command.append(known?.epoch.text ?? "")
        command.append(known.map { "\($0.id)" } ?? "")
        return try connection.run(command) { reply in
            let last = reply.elements.last?.text.flatMap { StreamID($0) } ?? .zero
            return StreamState(reply.elements.dropLast(), last: last)
        }
    }

    /// Adds a group of publishes. Returns for each publish the ids of its entries, or why it was refused; returns `nil`
    /// if the stream is in another epoch.
    func append(_ group: GroupPublisher.Group, in epoch: Epoch) throws -> [Result<[StreamID], MartletError>]? {
        var command = script(.append, node: group.id.node)
        command.append(epoch.text)
        appendRetention(to: &command)
        command.append(group.id.number)
        command.append(Self.answerLifetime.wholeMilliseconds)
        command.append(group.publishes.contains { $0.events.contains { $0.endsTopic } } ? "1" : "")
        command.append(group.publishes.count)
        for (events, key) in group.publishes {
            command.append(key ?? "")
            command.append(events.count)
            for (number, event) in events.enumerated() {
                var fields = StreamEntry.fields(of: event)
                if let key, number == 0 { fields += ["once", key, "count", "\(events.count)"] }
                command.append(fields.count)
                for field in fields { command.append(field) }
            }
        }
        return try connection.run(command) { reply in
            guard reply.elements.first?.text?.isExactly("done") == true, reply.elements.count == 2 else { return nil }
            return reply.elements[1].elements.map { answer in
                if let refusal = answer.text { return .failure(Self.error(refusal)) }
                return .success(answer.elements.compactMap { $0.text.flatMap { StreamID($0) } })
            }
        }
    }

    /// The error for a refusal: `reused`, `ended TOPIC`, or `replaced EPOCH TOPIC`.
    private static func error(_ refusal: String) -> MartletError {
        let words = refusal.splitExactly(at: UInt8(ascii: " "), maxSplits: 1)
        if words.count == 2, words[0].isExactly("ended"), let topic = try? Topic(String(words[1])) {
            return .ended(topic)
        }
        if words.count == 2, words[0].isExactly("replaced"),
            let (epoch, name) = words[1].cutExactly(at: UInt8(ascii: " ")), let epoch = UInt64(epoch),
            let topic = try? Topic(String(name))
        {
            return .replaced(epoch: epoch, of: topic)
        }
        return .keyReused
    }

    /// Counts entries of other programs and removes what exceeds retention. Returns the newest entry, and whether
    /// nothing is left to do; `nil` if the stream is in another epoch.
    func tidy(in epoch: Epoch) throws -> (last: StreamID, isDone: Bool)? {
        var command = script(.tidy)
        command.append(epoch.text)
        appendRetention(to: &command)
        return try connection.run(command) { reply in
            guard let state = reply.elements.first?.text, !state.isExactly("epoch"), reply.elements.count == 2 else {
                return nil
            }
            return (reply.elements[1].text.flatMap { StreamID($0) } ?? .zero, state.isExactly("done"))
        }
    }

    /// How long the server keeps the answer to a group, in case the group is sent again.
    private static let answerLifetime = Duration.seconds(600)

    private func script(_ script: RedisScript, node: String? = nil) -> RedisCommand {
        let names = keys.common + (node.map { [keys.node($0)] } ?? [])
        var command = RedisCommand("EVALSHA", hashes[script] ?? "", "\(names.count)")
        for name in names { command.append(name) }
        return command
    }

    private func appendRetention(to command: inout RedisCommand) {
        let kept = configuration.retention
        command.append(kept.events)
        // How many more events there may be, so that removing from a large history is done for many events at once.
        command.append(min(1000, kept.events / 1024 * 16))
        command.append(kept.bytes)
        command.append(kept.age.wholeMilliseconds)
        command.append(configuration.trimmedTopics)
        command.append("\(configuration.topics) \(configuration.stateKeys) \(configuration.stateBytes)")
    }

    // MARK: Reading

    /// The state, and the first entries after one id and through another, at the same moment.
    ///
    /// - Parameters:
    ///   - after: `nil` for the beginning.
    ///   - through: `nil` for the end.
    ///   - count: The most entries; may be 0.
    func read(
        after: StreamID?, through: StreamID?, count: Int
    ) throws -> (state: StreamState, entries: [StreamEntry]) {
        connection.send(RedisCommand("MULTI"))
        connection.send(stateCommand)
        connection.send(RedisCommand("XREVRANGE", keys.stream, "+", "-", "COUNT", "1"))
        if count > 0 {
            connection.send(
                RedisCommand(
                    "XRANGE", keys.stream, after.map { "(\($0)" } ?? "-", through.map { "\($0)" } ?? "+", "COUNT",
                    "\(count)"))
        }
        connection.send(RedisCommand("EXEC"))
        for _ in 0..<(count > 0 ? 4 : 3) { try connection.receive { _ in } }
        return try connection.receive { reply in
            let results = reply.elements
            guard results.count >= 2 else { throw LogUnreachable("The server refused a transaction.") }
            for result in results {
                if let error = result.error { throw RedisError.explain(error) }
            }
            let last = results[1].elements.first?.elements.first?.text.flatMap { StreamID($0) } ?? .zero
            let state = StreamState(results[0].elements, last: last)
            return (state, count > 0 ? entries(results[2].elements) : [])
        }
    }

    /// Waits for entries after an id, for at most a duration. Returns them and the state afterwards.
    func follow(
        after: StreamID, count: Int, wait: Duration
    ) throws -> (state: StreamState, entries: [StreamEntry]) {
        connection.send(
            RedisCommand(
                "XREAD", "COUNT", "\(count)", "BLOCK", "\(max(1, wait.wholeMilliseconds))", "STREAMS", keys.stream,
                "\(after)"))
        connection.send(stateCommand)
        let entries = try connection.receive { reply in
            self.entries(reply.elements.first?.elements.last?.elements)
        }
        let state = try connection.receive { StreamState($0.elements, last: entries.last?.id ?? .zero) }
        return (state, entries)
    }

    private var stateCommand: RedisCommand {
        var command = RedisCommand("HMGET", keys.log)
        for field in StreamState.fields { command.append(field) }
        return command
    }

    private func entries(_ replies: RedisReply.Elements?) -> [StreamEntry] {
        replies?.compactMap { StreamEntry($0, within: configuration.limits) } ?? []
    }

    /// Whether the stream has an entry.
    func contains(_ id: StreamID) throws -> Bool {
        try connection.run(RedisCommand("XRANGE", keys.stream, "\(id)", "\(id)", "COUNT", "1")) { !$0.elements.isEmpty }
    }

    /// The entries with an id of a publisher, the oldest first, and whether one of them was removed.
    func occurrences(of id: String, atMost count: Int) throws -> (ids: [StreamID], hasLostOne: Bool) {
        let command = RedisCommand(
            "ZRANGEBYLEX", keys.ids, "[\(id)\0", "(\(id)\u{1}", "LIMIT", "0", "\(count + 1)")
        return try connection.run(command) { reply in
            var (ids, hasLostOne): ([StreamID], Bool) = ([], false)
            for text in reply.elements.lazy.compactMap(\.text) {
                let padded = text.utf8.dropFirst(id.utf8.count + 1)
                if padded.isEmpty { hasLostOne = true }
                let parts = padded.split(separator: UInt8(ascii: "-"))
                guard parts.count == 2, let milliseconds = UInt64(String(parts[0]) ?? ""),
                    let number = UInt64(String(parts[1]) ?? "")
                else { continue }
                ids.append(StreamID(milliseconds: milliseconds, number: number))
            }
            return (ids, hasLostOne)
        }
    }

    /// The entries with these ids that the stream still has.
    func entries(at ids: [StreamID]) throws -> [StreamEntry] {
        for id in ids { connection.send(RedisCommand("XRANGE", keys.stream, "\(id)", "\(id)")) }
        return try ids.flatMap { _ in try connection.receive { entries($0.elements) } }
    }

    /// Whether a selected entry after an id was removed, or may have been.
    func isTrimmed(_ selection: Selection?, after id: StreamID, in state: StreamState) throws -> Bool {
        guard state.removed > id else { return false }
        guard let selection else { return true }
        // The answer depends only on whether an entry is later, so two numbers are enough.
        func offset(_ other: StreamID) -> UInt64 { other > id ? 1 : 0 }
        var removed = TrimmedTopics(capacity: .max)
        removed.raiseFloor(to: offset(state.floor))
        /// Ignores names that another program has put there.
        func add(_ name: String, _ id: StreamID) { _ = removed.insert(name[...], at: offset(id)) }
        let topics = selection.selectors.map(\.exactTopic)
        if topics.contains(nil) {
            try connection.run(RedisCommand("HGETALL", keys.trimmed)) { reply in
                let texts = reply.elements.map(\.text)
                for index in stride(from: 0, to: texts.count - 1, by: 2) {
                    guard let name = texts[index], let id = texts[index + 1].flatMap({ StreamID($0) }) else { continue }
                    add(name, id)
                }
            }
        } else {
            let names = topics.compactMap { $0 }.flatMap { topic in ["e", "g", "a"].map { "\($0) \(topic)" } }
            var command = RedisCommand("HMGET", keys.trimmed)
            for name in names { command.append(name) }
            try connection.run(command) { reply in
                for (name, value) in zip(names, reply.elements) {
                    if let id = value.text.flatMap({ StreamID($0) }) { add(name, id) }
                }
            }
        }
        return removed.contains(selection, after: 0)
    }
}

/// The names of the keys of a log.
struct StreamKeys {
    let stream: String

    init(_ stream: String) { self.stream = stream }

    var log: String { "\(stream):log" }
    var ids: String { "\(stream):ids" }
    var trimmed: String { "\(stream):trimmed" }
    /// What is known of topics besides their events.
    var topics: String { "\(stream):topics" }
    /// The newest entry of each topic and key.
    var values: String { "\(stream):values" }
    /// The order in which the names in one of these have changed.
    func order(of key: String) -> String { "\(key):order" }
    func node(_ name: String) -> String { "\(stream):node:\(name)" }

    /// The keys of every script, in the order of `Scripts/stream.lua`.
    var common: [String] {
        [stream, log, ids, "\(stream):keys", trimmed, topics, order(of: topics), values, order(of: values)]
    }
}
#endif
