// SPDX-License-Identifier: Apache-2.0

// Brokers for tests: librdkafka's mock cluster, served over TCP from a process of its own.
//
//     MockKafka [BROKERS] [TOPIC:PARTITIONS[,TOPIC:PARTITIONS…]]
//
// The first line of output is the bootstrap servers. Each line of input is then a command, answered with `ok` or with
// `error: …`. The end of input ends the process, so that brokers never outlive the test that started them.

#if Kafka
import CRdkafka
import Foundation

struct Failure: Error, CustomStringConvertible {
    let description: String

    init(_ description: String) { self.description = description }
}

/// The mock cluster. Brokers are numbered from 1.
struct Cluster {
    private let handle: OpaquePointer
    private let cluster: OpaquePointer
    private let brokers: Int

    init(brokers: Int) throws {
        guard (1...1000).contains(brokers) else { throw Failure("the number of brokers must be 1 to 1000") }
        var reason = [CChar](repeating: 0, count: 512)
        guard let handle = rd_kafka_new(RD_KAFKA_PRODUCER, nil, &reason, reason.count) else {
            throw Failure("librdkafka does not start: \(text(reason))")
        }
        guard let cluster = rd_kafka_mock_cluster_new(handle, Int32(brokers)) else {
            rd_kafka_destroy(handle)
            throw Failure("librdkafka does not start a mock cluster")
        }
        self.handle = handle
        self.cluster = cluster
        self.brokers = brokers
    }

    /// Where clients connect: addresses on 127.0.0.1, separated by commas.
    var servers: String { String(cString: rd_kafka_mock_cluster_bootstraps(cluster)) }

    func stop() {
        rd_kafka_mock_cluster_destroy(cluster)
        rd_kafka_destroy(handle)
    }

    func createTopic(_ name: String, partitions: Int32) throws {
        // librdkafka aborts on a topic without partitions, and on replicas that no broker is there for.
        guard partitions > 0 else { throw Failure("a topic has at least 1 partition") }
        try check(rd_kafka_mock_topic_create(cluster, name, partitions, Int32(min(brokers, 3))))
    }

    /// Runs one command line.
    func run(_ line: String) throws {
        let words = line.split(separator: " ").map(String.init)
        switch (words.first, words.count) {
        case ("topic", 3): try createTopic(words[1], partitions: number(words[2]))
        case ("down", 2): try check(rd_kafka_mock_broker_set_down(cluster, broker(words[1])))
        case ("up", 2): try check(rd_kafka_mock_broker_set_up(cluster, broker(words[1])))
        case ("leader", 4):
            try check(rd_kafka_mock_partition_set_leader(cluster, words[1], number(words[2]), broker(words[3])))
        case ("rtt", 3): try check(rd_kafka_mock_broker_set_rtt(cluster, broker(words[1]), number(words[2])))
        case ("errors", 3...):
            // One code for each of the next requests of this kind; 0 lets one pass.
            let codes = try words[2...].map { rd_kafka_resp_err_t(try number($0)) }
            try rd_kafka_mock_push_request_errors_array(cluster, number(words[1]), codes.count, codes)
        case ("clear", 2): try rd_kafka_mock_clear_request_errors(cluster, number(words[1]))
        default: throw Failure("unknown command: \(line)")
        }
    }

    private func broker(_ word: String) throws -> Int32 {
        let id: Int32 = try number(word)
        guard id == -1 || (1...brokers).contains(Int(id)) else { throw Failure("no broker \(id)") }
        return id
    }
}

func number<Number: FixedWidthInteger>(_ word: String) throws -> Number {
    guard let number = Number(word) else { throw Failure("not a number: \(word)") }
    return number
}

func check(_ code: rd_kafka_resp_err_t) throws {
    guard code == RD_KAFKA_RESP_ERR_NO_ERROR else { throw Failure(String(cString: rd_kafka_err2str(code))) }
}

func text(_ characters: [CChar]) -> String {
    String(decoding: characters.prefix { $0 != 0 }.map(UInt8.init(bitPattern:)), as: UTF8.self)
}

func answer(_ line: String) {
    print(line)
    fflush(nil)
}

do {
    let arguments = CommandLine.arguments.dropFirst()
    let cluster = try Cluster(brokers: arguments.first.map(number) ?? 1)
    for topic in arguments.dropFirst().flatMap({ $0.split(separator: ",") }) {
        let parts = topic.split(separator: ":").map(String.init)
        guard parts.count == 2 else { throw Failure("a topic is NAME:PARTITIONS, not \(topic)") }
        try cluster.createTopic(parts[0], partitions: number(parts[1]))
    }
    answer(cluster.servers)
    while let line = readLine() {
        do {
            try cluster.run(line)
            answer("ok")
        } catch {
            answer("error: \(error)")
        }
    }
    cluster.stop()
} catch {
    FileHandle.standardError.write(Data("MockKafka: \(error)\n".utf8))
    exit(1)
}
#else
print("MockKafka: built without the trait Kafka")
#endif
