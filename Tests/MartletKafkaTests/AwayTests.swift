// SPDX-License-Identifier: Apache-2.0

#if Kafka
import Martlet
import TestSupport
import Testing

@testable import MartletKafka

@Suite("When the Kafka brokers are away", .timeLimit(.minutes(10)))
struct AwayTests {
    @Test("Publishing fails meanwhile, and everything continues when they are back")
    func goesOn() async throws {
        try await MockCluster.with { cluster in
            let log = cluster.log { $0.patience = .milliseconds(300) }
            let start = try await log.open()
            try await log.append("a", "1")
            try cluster.run("down 1")
            await #expect { try await log.append("a", "refused") } throws: { error in
                (error as? MartletError)?.code == .storageFailed
            }
            try await until { !log.health.isReachable }
            async let tailed = read(3, of: log, after: start)
            try cluster.run("up 1")
            try await until { log.health.isReachable }
            try await log.append("a", "2", "3")
            let records = try await tailed
            #expect(records.map(\.event.data) == ["1", "2", "3"])
            #expect(try await log.resolve(records[0].position.text, for: .of("a")).gap == nil)
            #expect(log.health.losses >= 1)
            await log.close()
        }
    }

    @Test("A publish that waits for the brokers is accepted once when they are back in time")
    func waits() async throws {
        try await MockCluster.with { cluster in
            let log = cluster.log { $0.patience = .seconds(20) }
            let start = try await log.open()
            try await log.append("a", "1")
            try cluster.run("down 1")
            async let positions = log.append([Event(topic: "a", data: "2"), Event(topic: "b", data: "3")])
            try await until { !log.health.isReachable }
            try cluster.run("up 1")
            let answer = try await positions
            let records = try await read(3, of: log, after: start)
            #expect(records.map(\.event.data) == ["1", "2", "3"])
            #expect(records.dropFirst().map(\.position) == answer)
            await log.close()
        }
    }

    @Test("The leader of the partition moves, and nothing is lost or doubled")
    func leaderMoves() async throws {
        try await MockCluster.with(brokers: 3) { cluster in
            let log = cluster.log { $0.patience = .seconds(20) }
            let start = try await log.open()
            var expected: [String] = []
            for number in 0..<60 {
                if number % 10 == 5 { try cluster.run("leader martlet 0 \(number / 10 % 3 + 1)") }
                try await log.append("a", "\(number)")
                expected.append("\(number)")
            }
            #expect(try await read(60, of: log, after: start).map(\.event.data) == expected)
            await log.close()
        }
    }

    @Test("Errors that pass are repeated by the library, and the event is accepted once")
    func passingErrors() async throws {
        try await MockCluster.with { cluster in
            let log = cluster.log { $0.patience = .seconds(20) }
            let start = try await log.open()
            // NOT_LEADER_FOR_PARTITION, NOT_ENOUGH_REPLICAS and REQUEST_TIMED_OUT, to a Produce request.
            try cluster.run("errors 0 6 19 7")
            try await log.append("a", "1")
            try await log.append("a", "2")
            #expect(try await read(2, of: log, after: start).map(\.event.data) == ["1", "2"])
            await log.close()
        }
    }

    @Test("A record that the brokers refuse is an error that says what to do, and the next one is accepted")
    func refused() async throws {
        try await MockCluster.with { cluster in
            let log = cluster.log { $0.patience = .seconds(2) }
            let start = try await log.open()
            // MSG_SIZE_TOO_LARGE, TOPIC_AUTHORIZATION_FAILED.
            for (code, expected) in [(10, MartletError.Code.tooLarge), (29, .storageFailed)] {
                try cluster.run("errors 0 \(code)")
                await #expect { try await log.append("a", "refused") } throws: {
                    ($0 as? MartletError)?.code == expected
                }
            }
            try await log.append("a", "accepted")
            #expect(try await read(1, of: log, after: start).map(\.event.data) == ["accepted"])
            await log.close()
        }
    }

    @Test("A success without an offset is no success unless the record is there")
    func unknownOffset() async throws {
        try await MockCluster.with { cluster in
            let log = cluster.log { $0.patience = .milliseconds(300) }
            let start = try await log.open()
            // DUPLICATE_SEQUENCE_NUMBER: the library counts it as accepted, and does not know where.
            try cluster.run("errors 0 46")
            await #expect { try await log.append("a", "lost") } throws: { error in
                (error as? MartletError)?.code == .storageFailed
                    && (error as? MartletError)?.message.contains("not known") == true
            }
            try await log.append("a", "accepted")
            #expect(try await read(1, of: log, after: start).map(\.event.data) == ["accepted"])
            await log.close()
        }
    }

    @Test("Opening waits for brokers that are not there yet")
    func opening() async throws {
        try await MockCluster.with { cluster in
            try cluster.run("down 1")
            let log = cluster.log { $0.requestTimeout = .milliseconds(200) }
            async let opened = log.open()
            try await until { log.health.losses == 0 && !log.health.isReachable }
            await #expect { try await log.append("a", "1") } throws: { ($0 as? MartletError)?.code == .notRunning }
            try cluster.run("up 1")
            let start = try await opened
            try await log.append("a", "1")
            #expect(try await read(1, of: log, after: start).map(\.event.data) == ["1"])
            await log.close()
        }
    }

    @Test("Opening can be cancelled")
    func cancelled() async throws {
        let log = KafkaLog(KafkaLogConfiguration(servers: ["127.0.0.1:1"]))
        let opening = Task { try await log.open() }
        opening.cancel()
        await #expect(throws: CancellationError.self) { try await opening.value }
        await log.close()
    }

    @Test("Reading old history fails after the patience; a client within the window resumes without the brokers")
    func reading() async throws {
        try await MockCluster.with { cluster in
            let log = cluster.log {
                $0.patience = .milliseconds(300)
                $0.windowRecords = 2
            }
            let start = try await log.open()
            let first = try await log.append("a", "1")[0]
            try await log.append("a", "2", "3")
            try await log.append("a", "4")
            let records = try await read(4, of: log, after: start)
            try cluster.run("down 1")
            try await until { !log.health.isReachable }
            let end = try #require(records.last).position
            await #expect { try await log.read(nil, after: first, through: end, limit: SliceLimit()) } throws: {
                ($0 as? MartletError)?.code == .storageFailed
            }
            let rest = try await log.read(nil, after: records[2].position, through: end, limit: SliceLimit())
            #expect(rest.records.map(\.event.data) == ["4"])
            #expect(try await log.resolve(end.text, for: .of("a")) == Resolution(position: end))
            try cluster.run("up 1")
            try await until { log.health.isReachable }
            let all = try await log.read(nil, after: first, through: end, limit: SliceLimit())
            #expect(all.records.map(\.event.data) == ["2", "3", "4"])
            await log.close()
        }
    }

    @Test("A topic with several partitions is refused unless it is said that it may")
    func manyPartitions() async throws {
        try await MockCluster.with(topics: "martlet:3", "wide:13") { cluster in
            let log = cluster.log()
            await #expect(throws: KafkaLogError.manyPartitions(topic: "martlet", count: 3)) { try await log.open() }
            let wide = cluster.log("wide") { $0.hasManyPartitions = true }
            await #expect(throws: KafkaLogError.tooManyPartitions(topic: "wide", count: 13)) { try await wide.open() }
            await log.close()
            await wide.close()
        }
    }

    @Test(
        "A setting that librdkafka does not know, or that the log sets itself, is an error that names it",
        arguments: ["no.such.setting", "acks", "group.id", "security.protocol"])
    func settings(name: String) throws {
        var configuration = KafkaLogConfiguration()
        configuration.properties = [(name, "a-secret-value")]
        #expect { try configuration.check() } throws: { error in
            "\(error)".contains(name) && !"\(error)".contains("a-secret-value")
        }
    }
}
#endif
