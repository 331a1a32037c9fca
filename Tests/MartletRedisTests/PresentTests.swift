// SPDX-License-Identifier: Apache-2.0

#if Redis
import MartletSupport
import TestSupport
import Testing

@testable import Martlet
@testable import MartletRedis

@Suite("What outlives the history of a Redis stream", .timeLimit(.minutes(10)))
struct PresentTests {
    @Test("While one node ends a topic and others publish to it, all nodes agree what came before the end")
    func nodes() async throws {
        try await RedisServer.with { server in
            let logs = (0..<3).map { _ in server.log() }
            for log in logs { _ = try await log.open() }
            for round in 0..<10 {
                let topic = try Topic("chat/\(round)")
                let accepted = try await withThrowingTaskGroup(of: Int.self) { group in
                    for log in logs.dropFirst() {
                        group.addTask {
                            for number in 0..<200 {
                                do {
                                    _ = try await log.append([Event(topic: topic, data: "\(number)")])
                                } catch let error as MartletError where error.code == .topicEnded {
                                    return number
                                }
                            }
                            return 200
                        }
                    }
                    group.addTask {
                        for number in 0..<5 { _ = try await logs[0].append([Event(topic: topic, data: "\(number)")]) }
                        _ = try await logs[0].append([.end(of: topic)])
                        return 6
                    }
                    return try await group.reduce(0, +)
                }
                let read = try await logs[1].records(of: .of(topic))
                #expect(read.count == accepted)
                #expect(read.last?.event.endsTopic == true)
                for log in logs {
                    #expect(try await log.append([.end(of: topic)]) == [try #require(read.last).position])
                    await #expect { try await log.append([Event(topic: topic, data: "late")]) } throws: {
                        ($0 as? MartletError)?.message.contains(topic.name) == true
                    }
                    let end = try await log.open()
                    #expect(try await log.present(through: end).topics[topic]?.end == read.last?.position)
                }
            }
            for log in logs { await log.close() }
        }
    }

    @Test("An end and the newest values survive a crash of the server, for nodes that were there and for new ones")
    func crash() async throws {
        try await RedisServer.with("--appendonly", "yes", "--appendfsync", "always") { server in
            let log = server.log(keeping: 5)
            _ = try await log.open()
            var written = Event(topic: "job", data: "7", key: "progress")
            written.writer = TopicWriter("worker b", epoch: 9)
            _ = try await log.append([written])
            let end = try await log.append([Event(topic: "chat", data: "bye"), .end(of: "chat")])[1]
            for number in 0..<100 { try await log.append("noise", "\(number)") }
            server.kill()
            try await server.start()
            try await until { log.health.isReachable }
            let new = server.log(keeping: 5)
            for log in [log, new] {
                let present = try await log.present(through: log.open())
                #expect(present.values.map(\.event) == [written])
                #expect(present.topics["chat"]?.end == end)
                #expect(present.topics["job"]?.writer == written.writer)
                #expect(present.topics.count == 2)
                await #expect { try await log.append("chat", "late") } throws: {
                    ($0 as? MartletError)?.code == .topicEnded
                }
                var old = Event(topic: "job", data: "3")
                old.writer = TopicWriter("worker a", epoch: 8)
                await #expect { try await log.append([old]) } throws: { error in
                    let error = error as? MartletError
                    return error?.code == .writerReplaced && error?.message.contains("job, with epoch 9.") == true
                }
                await log.close()
            }
        }
    }

    @Test("Of each key the newest event outlives history, and none once its data is empty")
    func values() async throws {
        try await RedisServer.with { server in
            let log = server.log(keeping: 5)
            _ = try await log.open()
            for number in 0..<3 {
                for key in ["x", "y", "z"] {
                    _ = try await log.append([Event(topic: "a", data: "\(key)\(number)", key: key)])
                }
            }
            _ = try await log.append([
                Event(topic: "a", data: "", key: "y"), Event(topic: "b", data: "other", key: "x"),
            ])
            for number in 0..<100 { try await log.append("noise", "\(number)") }
            let present = try await log.present(through: log.open())
            #expect(present.values.map(\.event.data) == ["x2", "z2", "other"])
            #expect(try server.run("HLEN", "martlet:values") == "3")
            #expect(try server.run("ZCARD", "martlet:values:order") == "3")
            try server.run("FLUSHALL")
            try await log.append("a", "1")
            let rest = try await log.present(through: log.open())
            #expect(rest.values.isEmpty)
            await log.close()
        }
    }

    @Test("Nothing outlives a stream that was deleted")
    func deleted() async throws {
        try await RedisServer.with { server in
            let log = server.log()
            _ = try await log.open()
            _ = try await log.append([.end(of: "chat"), Event(topic: "a", data: "1", key: "k")])
            try server.run("DEL", "martlet")
            try await log.append("chat", "again")
            let present = try await log.present(through: log.open())
            #expect(present.values.isEmpty)
            #expect(present.topics.isEmpty)
            #expect(try server.run("EXISTS", "martlet:topics", "martlet:values") == "0")
            await log.close()
        }
    }

    @Test("Topics and values are bounded, and the oldest go first")
    func bounds() async throws {
        try await RedisServer.with { server in
            let log = server.log {
                $0.topics = 3
                $0.stateKeys = 4
                $0.stateBytes = 2000
            }
            _ = try await log.open()
            for number in 0..<6 { _ = try await log.append([.end(of: try Topic("ended/\(number)"))]) }
            for number in 0..<6 { _ = try await log.append([Event(topic: "a", data: "\(number)", key: "k\(number)")]) }
            // It has changed, so it is no longer the oldest.
            _ = try await log.append([Event(topic: "a", data: "2 again", key: "k2")])
            _ = try await log.append([Event(topic: "a", data: "6", key: "k6")])
            var present = try await log.present(through: log.open())
            #expect(present.topics.all.map(\.topic) == ["ended/3", "ended/4", "ended/5"])
            #expect(present.values.map(\.event.data) == ["4", "5", "2 again", "6"])
            // A forgotten topic is open again.
            try await log.append("ended/0", "open")

            let large = String(repeating: "x", count: 1500)
            _ = try await log.append([Event(topic: "a", data: large, key: "large")])
            present = try await log.present(through: log.open())
            #expect(present.values.map(\.event.data) == ["5", "2 again", "6", large])
            // One value is kept whatever its size is.
            _ = try await log.append([Event(topic: "a", data: large + large, key: "larger")])
            present = try await log.present(through: log.open())
            #expect(present.values.map(\.event.data) == [large + large])
            #expect(try server.run("HLEN", "martlet:values") == "1")

            // More than one call of a script removes.
            let many = try (0..<3000).map { Event(topic: try Topic("many/\($0)"), data: "", key: "k") }
            var ending = many
            for index in ending.indices { ending[index].writer = TopicWriter("w", epoch: 1) }
            _ = try await log.append(ending)
            try await until { try server.run("HLEN", "martlet:topics") == "3" }
            #expect(try server.run("ZCARD", "martlet:topics:order") == "3")
            await log.close()
        }
    }

    @Test("What entries of other programs say is noted, also before any node was there")
    func others() async throws {
        try await RedisServer.with { server in
            let connection = try server.connect()
            for number in 0..<5000 {
                connection.send(
                    RedisCommand("XADD", "martlet", "*", "topic", "a", "data", "\(number)", "key", "k\(number)"))
            }
            connection.send(RedisCommand("XADD", "martlet", "*", "topic", "chat", "data", "", "end", "1"))
            for _ in 0...5000 { try connection.receive { _ in } }
            let log = server.log()
            var end = try await log.open()
            for _ in 0..<2 {
                let present = try await log.present(through: end)
                #expect(present.values.count == 5000)
                #expect(present.values.last?.event.data == "4999")
                #expect(present.topics["chat"]?.end == end)
                try await until { try server.run("HLEN", "martlet:values") == "5000" }
            }
            await #expect { try await log.append("chat", "late") } throws: {
                ($0 as? MartletError)?.code == .topicEnded
            }
            // Of no use: not events.
            let invalid = [
                ["data", "", "end", "yes"], ["data", "", "end", "1", "end", "1"], ["end", "1"],
                ["data", "", "end", "1", "writer", "x"], ["data", "", "end", "1", "retry", "soon"],
                ["data", "", "end", "1", "type", "a\nb"], ["data", "", "end", "1", "topic", "d"],
                ["data", "", "end", "1", "writer", "18446744073709551616 w"],
                ["data", "", "end", "1", "expires", "9223372036854775808"],
            ]
            for fields in invalid {
                var command = RedisCommand("XADD", "martlet", "*", "topic", "c")
                for field in fields { command.append(field) }
                try connection.run(command) { _ in }
            }
            var command = RedisCommand("XADD", "martlet", "*", "topic", "c", "data")
            command.append([0x61, 0xFF])
            command.append("end")
            command.append("1")
            try connection.run(command) { _ in }
            try await log.append("c", "still open")
            end = try await log.open()
            #expect(try await log.present(through: end).topics.count == 1)
            #expect(log.health.skipped == invalid.count + 1)
            await log.close()
        }
    }

    @Test("A topic that has expired begins again, without its values")
    func expiry() async throws {
        try await RedisServer.with { server in
            let log = server.log()
            _ = try await log.open()
            var value = Event(topic: "chat", data: "1", key: "k")
            value.topicExpires = .now + .seconds(3600)
            _ = try await log.append([value])
            let end = try await log.append([.end(of: "chat")])[0]
            await #expect { try await log.append("chat", "2") } throws: { ($0 as? MartletError)?.code == .topicEnded }
            // The hour is over.
            let text = try #require(try server.run("HGET", "martlet:topics", "chat"))
            let expires = try #require(value.topicExpires).milliseconds
            try server.run(
                "HSET", "martlet:topics", "chat", text.replacing("\(expires)", with: "\(expires - 3_600_001)"))
            try await log.append("chat", "2")
            let entry = try #require(try await log.present(through: log.open()).topics["chat"])
            #expect(entry.end == nil)
            #expect(entry.expires == nil)
            #expect(entry.goneThrough == end)
            #expect(try await log.present(through: log.open()).values.isEmpty)
            await log.close()
        }
    }

    @Test("Entries that are counted again are not noted again")
    func recounted() async throws {
        try await RedisServer.with { server in
            let log = server.log()
            _ = try await log.open()
            for number in 0..<2500 {
                // The newest value is not among the first thousand entries that are counted again.
                let key = number == 0 || number == 2400 ? "k" : nil
                _ = try await log.append([Event(topic: "a", data: "\(number)", key: key)])
            }
            try server.run("XTRIM", "martlet", "MAXLEN", "2499")
            for _ in 0..<20 {
                let present = try await log.present(through: log.open())
                #expect(present.values.map(\.event.data) == ["2400"])
                try await log.append("b", "next")
            }
            try await until { try server.run("HGET", "martlet:log", "present")?.hasSuffix(" ") == true }
            let present = try await log.present(through: log.open())
            #expect(present.values.map(\.event.data) == ["2400"])
            await log.close()
        }
    }

    @Test("The script accepts and knows what the book of the hub does", arguments: [UInt64](0..<8))
    func model(round: UInt64) async throws {
        try await RedisServer.with { server in
            let seed = FuzzSettings.seed &+ round
            var random = SeededGenerator(seed: seed)
            let log = server.log(keeping: 20)
            let start = try await log.open()
            // The future, where nothing expires meanwhile, and the past.
            let times = [
                WallTime(milliseconds: 4_000_000_000_000), WallTime(milliseconds: -5), WallTime(milliseconds: .max),
            ]
            let topics: [Topic] = ["a", "b", "\u{E9}", "d d"]
            var model = Present()
            for _ in 0..<400 {
                let events = (0..<Int.random(in: 1...3, using: &random)).map { _ in
                    var event = Event(topic: topics.randomElement(using: &random) ?? "a", data: "")
                    if Bool.random(using: &random) { event.data = "\(random.next())" }
                    if Bool.random(using: &random) { event.key = ["k", "\u{301}"].randomElement(using: &random) }
                    func isChosen() -> Bool { Int.random(in: 0..<8, using: &random) == 0 }
                    if isChosen() { event.alternates = [topics.randomElement(using: &random) ?? "a"] }
                    if isChosen() { event.topicExpires = times.randomElement(using: &random) }
                    if isChosen() || isChosen() {
                        let epoch = ([0, 9, 10, .max] as [UInt64]).randomElement(using: &random) ?? 0
                        event.writer = TopicWriter(["w", "v v"].randomElement(using: &random) ?? "", epoch: epoch)
                    }
                    if isChosen() { event.life.endsTopic = true }
                    if isChosen() { event.life.purgesTopic = true }
                    return event
                }
                var expected: MartletError?
                let end = model.topics.repeatedEnd(events)
                if end == nil {
                    do throws(MartletError) { try model.topics.check(events) } catch { expected = error }
                }
                do {
                    let positions = try await log.append(events)
                    #expect(expected == nil, "seed \(seed): \(events) should be refused")
                    if let end {
                        #expect(positions == [end], "seed \(seed)")
                        continue
                    }
                    for (position, event) in zip(positions, events) {
                        model.note(Record(position: position, event: event))
                    }
                } catch let error as MartletError {
                    #expect(error.code == expected?.code, "seed \(seed): \(events)")
                    #expect(error.message == expected?.message, "seed \(seed)")
                }
            }
            let present = try await log.present(through: log.open())
            #expect(present.topics.all == model.topics.all, "seed \(seed)")
            let book = model.topics
            let values = model.values.filter { value in
                book[value.event.topic]?.gone(at: .now).map { !log.covers($0, value.position) } ?? true
            }
            #expect(present.values == values, "seed \(seed)")
            #expect(log.covers(try await log.open(), start))
            await log.close()
        }
    }

    @Test("Many values are read in slices")
    func slices() async throws {
        try await RedisServer.with { server in
            let log = server.log(keeping: 10)
            _ = try await log.open()
            for start in stride(from: 0, to: 10_000, by: 500) {
                _ = try await log.append(
                    (start..<start + 500).map { Event(topic: "a", data: "\($0)", key: "k\($0 % 9000)") })
            }
            let calls = try server.calls(of: "zrangebyscore")
            let present = try await log.present(through: log.open())
            #expect(present.values.map(\.event.data) == (1000..<10_000).map(String.init))
            #expect(try server.calls(of: "zrangebyscore") - calls > 9)
            await log.close()
        }
    }

    @Test("Publishing events without keys needs no commands that it did not need before")
    func cost() async throws {
        try await RedisServer.with { server in
            let log = server.log()
            _ = try await log.open()
            try await log.append("a", "1")
            let before = try server.calls(of: ["hset", "hget", "hmget", "zadd", "zcard", "hstrlen", "exists"])
            for number in 0..<100 { try await log.append("a", "\(number)") }
            let after = try server.calls(of: ["hset", "hget", "hmget", "zadd", "zcard", "hstrlen", "exists"])
            print("calls for 100 publishes: \(zip(after, before).map { $0 - $1 })")
            #expect(zip(after, before).map { $0 - $1 }[1] == 0)
            #expect(zip(after, before).map { $0 - $1 }[3...].allSatisfy { $0 == 0 })
            await log.close()
        }
    }
}

extension RedisServer {
    fileprivate func calls(of commands: [String]) throws -> [Int] { try commands.map { try calls(of: $0) } }
}

extension RedisLog {
    /// Everything selected that is in history.
    fileprivate func records(of selection: Selection) async throws -> [Record] {
        let end = try await open()
        var (records, place): ([Record], Position) = ([], .earliest)
        while true {
            let slice = try await read(selection, after: place, through: end, limit: SliceLimit())
            records += slice.records
            if slice.isComplete { return records }
            place = slice.end
        }
    }
}
#endif
