// SPDX-License-Identifier: Apache-2.0

#if Kafka
import Foundation
import Logging
import Martlet
import Synchronization
import TestSupport

@testable import MartletKafka

/// A Kafka cluster of one test: the program `MockKafka`, on loopback.
final class MockCluster: Sendable {
    struct Refused: Error, CustomStringConvertible {
        let description: String
    }

    /// `host:port` of each broker.
    let servers: [String]
    private let process: ChildProcess
    private let input: FileHandle
    private let output: Mutex<FileHandle>

    private init(brokers: Int, topics: [String]) throws {
        let (toProcess, fromProcess) = (Pipe(), Pipe())
        process = try ChildProcess(
            [Self.program.path, "\(brokers)", topics.joined(separator: ",")],
            input: toProcess.fileHandleForReading.fileDescriptor,
            output: fromProcess.fileHandleForWriting.fileDescriptor)
        try toProcess.fileHandleForReading.close()
        try fromProcess.fileHandleForWriting.close()
        input = toProcess.fileHandleForWriting
        let reading = fromProcess.fileHandleForReading
        servers = try Self.line(reading).split(separator: ",").map(String.init)
        output = Mutex(reading)
    }

    /// Beside the bundle of the tests.
    private static var program: URL {
        let bundle = CommandLine.arguments.first { $0.hasSuffix(".xctest") } ?? CommandLine.arguments[0]
        let own = URL(filePath: bundle).deletingLastPathComponent().appending(path: "MockKafka")
        return ProcessInfo.processInfo.environment["MOCK_KAFKA"].map { URL(filePath: $0) } ?? own
    }

    private static func line(_ handle: FileHandle) throws -> String {
        var bytes = Data()
        while let byte = try handle.read(upToCount: 1), byte != Data("\n".utf8) {
            guard !byte.isEmpty else { break }
            bytes += byte
        }
        guard !bytes.isEmpty else { throw Refused(description: "\(program.path) does not start") }
        return String(decoding: bytes, as: UTF8.self)
    }

    /// Runs a cluster while the closure runs.
    ///
    /// - Parameter topics: `name:partitions` each.
    static func with(
        brokers: Int = 1, topics: String..., body: (MockCluster) async throws -> Void
    ) async throws {
        let cluster = try MockCluster(brokers: brokers, topics: topics.isEmpty ? ["martlet:1"] : topics)
        defer { cluster.process.kill() }
        try await body(cluster)
    }

    /// Gives the cluster a command, such as `down 1`.
    func run(_ command: String) throws {
        try input.write(contentsOf: Data("\(command)\n".utf8))
        let answer = try output.withLock { try Self.line($0) }
        guard answer == "ok" else { throw Refused(description: answer) }
    }

    /// Ends it as a crash does.
    func kill() { process.kill() }

    var configuration: KafkaLogConfiguration {
        var configuration = KafkaLogConfiguration(servers: servers)
        configuration.checkInterval = .milliseconds(100)
        configuration.stateInterval = .milliseconds(10)
        configuration.retryDelay = .milliseconds(5)...Duration.milliseconds(50)
        // The brokers of the mock answer a fetch only when this time is over.
        configuration.properties = [("fetch.wait.max.ms", "5"), ("reconnect.backoff.max.ms", "100")]
        return configuration
    }

    /// All records of a state topic that has one partition, in their order.
    func stateRecords(_ topic: String = "martlet.state") throws -> [StateMessage] {
        var configuration = configuration
        configuration.topic = topic
        let consumer = try StateReader.StateConsumer(configuration, logger: quiet) { message, _ in StateMessage(message)
        }
        guard try consumer.connect(within: .seconds(20)) == 1 else { throw Refused(description: "\(topic) is wide") }
        try consumer.start(0, at: StateReader.StateConsumer.beginning)
        var records: [StateMessage] = []
        while true {
            for item in try consumer.next(within: .seconds(1)) {
                switch item {
                case .record(let record): records.append(record)
                case .end: return records
                case .outOfRange: throw Refused(description: "\(topic) has no beginning")
                }
            }
        }
    }

    /// Adds records to a topic of one partition.
    func produce(_ records: [(key: String, value: [UInt8]?)], to topic: String = "martlet") throws {
        var configuration = configuration
        configuration.topic = topic
        let outcomes = try TopicProducer(configuration, logger: quiet).send(
            records.map { .init(partition: 0, key: Array($0.key.utf8), value: $0.value, headers: []) })
        for case .failed(let error, _) in outcomes { throw Refused(description: KafkaClient.message(error)) }
    }

    /// A node.
    func log(
        _ topic: String = "martlet", _ change: (inout KafkaLogConfiguration) -> Void = { _ in }
    ) -> KafkaLog {
        var configuration = configuration
        configuration.topic = topic
        change(&configuration)
        return KafkaLog(configuration, logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() })
    }
}

extension KafkaLog {
    /// Whether the state topic has everything that the node has read. For nodes that note every record
    /// (`checkpointRecords` is 1).
    var isStored: Bool {
        node.fold.withLock { fold in
            !fold.isDue(after: 1)
                && zip(fold.edges, fold.checkpoints).allSatisfy { edge, checkpoint in
                    edge.stamp == nil || checkpoint?.progress.next == edge.next
                }
        }
    }
}
#endif
