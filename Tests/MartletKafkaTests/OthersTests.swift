// SPDX-License-Identifier: Apache-2.0

#if Kafka
import Logging
import Martlet
import MartletSupport
import TestSupport
import Testing

@testable import MartletKafka

@Suite("Records that other programs write into a Kafka topic", .timeLimit(.minutes(10)))
struct OthersTests {
    /// Writes records as any producer does: key, value, headers.
    private func produce(
        _ cluster: MockCluster, _ records: (key: String?, value: [UInt8], headers: [String: String])...
    ) throws {
        let producer = TopicProducer(cluster.configuration, logger: Logger(label: "test"))
        let outcomes = try producer.send(
            records.map { record in
                .init(
                    partition: 0, key: record.key.map { Array($0.utf8) }, value: record.value,
                    headers: record.headers.map { ($0.key, Array($0.value.utf8)) })
            })
        for outcome in outcomes {
            guard case .accepted = outcome else { throw MockCluster.Refused(description: "\(outcome)") }
        }
    }

    @Test("Key, value and headers are an event")
    func event() async throws {
        try await MockCluster.with { cluster in
            let log = cluster.log()
            let start = try await log.open()
            try produce(
                cluster,
                (
                    "orders/42", Array("shipped".utf8),
                    [
                        "martlet-id": "7", "martlet-type": "status", "martlet-retry": "5000", "martlet-key": "k",
                        "martlet-private": "1", "martlet-alternate": "orders", "other": "ignored",
                    ]
                ),
                ("orders/43", [], [:]))
            let expected = Event(
                topic: "orders/42", alternates: ["orders"], data: "shipped", id: "7", type: "status", retry: 5000,
                key: "k", isPrivate: true)
            #expect(
                try await read(2, of: log, after: start).map(\.event) == [
                    expected, Event(topic: "orders/43", data: ""),
                ])
            await log.close()
        }
    }

    @Test("Records that are not events are skipped and counted")
    func skipped() async throws {
        try await MockCluster.with { cluster in
            let log = cluster.log()
            let start = try await log.open()
            let bytes = Array("x".utf8)
            try produce(
                cluster, (nil, bytes, [:]), ("", bytes, [:]), ("a", [0xFF], [:]), ("a\u{1}", bytes, [:]),
                ("a", bytes, ["martlet-retry": "soon"]), ("a", bytes, ["martlet-private": "yes"]),
                ("a", bytes, ["martlet-kind": "closed"]), ("a", bytes, ["martlet-type": "gap"]),
                ("a", bytes, ["martlet-id": "abcd12345678-1"]), ("a", bytes, ["martlet-kind": "events"]),
                ("a", Array("topic 1\na\ndata 9\nx\n\n".utf8), ["martlet-kind": "events"]),
                ("a", Array("topic 1\na\n\n".utf8), ["martlet-kind": "events"]),
                ("/.well-known/mercure/x", bytes, [:]), ("a", bytes, ["martlet-once": ""]))
            try produce(cluster, ("a", Array("good".utf8), [:]))
            #expect(try await read(1, of: log, after: start).map(\.event.data) == ["good"])
            try await until { log.health.skipped == 14 }
            await log.close()
        }
    }

    @Test("Several events in one record are accepted together")
    func several() async throws {
        try await MockCluster.with { cluster in
            let log = cluster.log()
            let start = try await log.open()
            let value = "topic 1\na\ndata 3\n1\n2\n\ntopic 1\nb\ndata 0\n\nprivate 1\n1\n\n"
            try produce(cluster, ("any", Array(value.utf8), ["martlet-kind": "events"]))
            let expected = [Event(topic: "a", data: "1\n2"), Event(topic: "b", data: "", isPrivate: true)]
            #expect(try await read(2, of: log, after: start).map(\.event) == expected)
            await log.close()
        }
    }

    @Test("With map=raw records without a key are events of the topic with the name of the Kafka topic")
    func raw() async throws {
        try await MockCluster.with { cluster in
            let log = cluster.log { $0.map = .raw }
            let base64 = cluster.log {
                $0.map = .raw
                $0.encoding = .base64
            }
            let start = try await log.open()
            _ = try await base64.open()
            try produce(cluster, (nil, Array("1".utf8), [:]), ("k", [0, 0xFF], [:]), ("k", Array("é".utf8), [:]))
            let expected = [Event(topic: "martlet", data: "1"), Event(topic: "k", data: "é")]
            #expect(try await read(2, of: log, after: start).map(\.event) == expected)
            let encoded = try await read(3, of: base64, after: start).map(\.event.data)
            #expect(encoded == ["MQ==", "AP8=", "w6k="])
            try await until { log.health.skipped == 1 }
            await log.close()
            await base64.close()
        }
    }

    @Test("A log that is only read writes nothing")
    func readOnly() async throws {
        try await MockCluster.with { cluster in
            // Any Produce and any InitProducerId would fail.
            try cluster.run("errors 0 29 29 29")
            try cluster.run("errors 22 53 53 53")
            let log = cluster.log { $0.isReadOnly = true }
            let start = try await log.open()
            try cluster.run("clear 0")
            try cluster.run("clear 22")
            try produce(cluster, ("a", Array("1".utf8), [:]))
            #expect(try await read(1, of: log, after: start).map(\.event.data) == ["1"])
            await log.close()
        }
    }

    @Test("Values that hold several events are read without a trap, however they are cut or changed")
    func fuzz() throws {
        var random = SeededGenerator(seed: FuzzSettings.seed)
        let format = RecordFormat(
            map: .martlet, encoding: .utf8, topicName: "t", limits: Limits(), partitions: 1)
        let events = [Event(topic: "a", data: "1\n2", id: "7"), Event(topic: "é", alternates: ["x"], data: "")]
        let value = format.write(events, once: nil, from: "n", number: 1).value
        func list(_ bytes: [UInt8]) -> [Event]? {
            bytes.withUnsafeBytes { EventFields.events(inList: $0, within: Limits()) }
        }
        #expect(list(value) == events)
        for _ in 0..<(FuzzSettings.count ?? 20_000) {
            var bytes = value
            for _ in 0..<Int.random(in: 1...4, using: &random) where !bytes.isEmpty {
                let index = Int.random(in: 0..<bytes.count, using: &random)
                switch Int.random(in: 0..<3, using: &random) {
                case 0: bytes[index] = UInt8.random(in: 0...255, using: &random)
                case 1: bytes.remove(at: index)
                default: bytes.removeSubrange(index...)
                }
            }
            guard let read = list(bytes) else { continue }
            let again = format.write(read, once: nil, from: "n", number: 1).value
            if read.count > 1 { #expect(list(again) == read) }
        }
    }
}
#endif
