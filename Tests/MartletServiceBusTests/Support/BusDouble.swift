// SPDX-License-Identifier: Apache-2.0

#if ServiceBus
import Foundation
import Logging
import Martlet
import MartletSQLite
import Synchronization
import TestSupport

@testable import MartletServiceBus

/// A double of Azure Service Bus on loopback: the program `Tests/ServiceBus/serve.py`.
final class BusDouble: Sendable {
    struct Refused: Error, CustomStringConvertible {
        let description: String
    }

    let port: Int
    private let process: ChildProcess
    private let channel: Mutex<(input: FileHandle, output: FileHandle)>
    private let topics = Atomic(0)

    /// For tests that do not disturb it.
    static let shared = Result { try BusDouble() }

    init() throws {
        let (toProcess, fromProcess) = (Pipe(), Pipe())
        process = try ChildProcess(
            [Self.python.path, Self.tests.appending(path: "ServiceBus/serve.py").path],
            input: toProcess.fileHandleForReading.fileDescriptor,
            output: fromProcess.fileHandleForWriting.fileDescriptor)
        try toProcess.fileHandleForReading.close()
        try fromProcess.fileHandleForWriting.close()
        let (input, output) = (toProcess.fileHandleForWriting, fromProcess.fileHandleForReading)
        guard let port = Int(try Self.line(output)) else { throw Refused(description: "The double does not start.") }
        self.port = port
        channel = Mutex((input, output))
    }

    deinit { process.kill() }

    private static var tests: URL {
        URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
    }

    private static var python: URL {
        ProcessInfo.processInfo.environment["PYTHON"].map { URL(filePath: $0) }
            ?? tests.deletingLastPathComponent().appending(path: ".venv/bin/python")
    }

    private static func line(_ handle: FileHandle) throws -> String {
        var bytes = Data()
        while let byte = try handle.read(upToCount: 1), !byte.isEmpty, byte != Data("\n".utf8) { bytes += byte }
        guard !bytes.isEmpty else {
            throw Refused(description: "The double has ended. Install Tests/ServiceBus/requirements.txt into .venv.")
        }
        return String(decoding: bytes, as: UTF8.self)
    }

    /// Calls a method of the double.
    @discardableResult
    func call(_ method: String, _ arguments: [String: any Sendable] = [:]) throws -> Any {
        var request = try JSONSerialization.data(withJSONObject: [method, arguments])
        request.append(UInt8(ascii: "\n"))
        let answer = try channel.withLock { channel in
            try channel.input.write(contentsOf: request)
            return try Self.line(channel.output)
        }
        let value = try JSONSerialization.jsonObject(with: Data(answer.utf8), options: .fragmentsAllowed)
        if let error = (value as? [String: Any])?["error"] { throw Refused(description: "\(method): \(error)") }
        return value
    }

    /// A number that the double counts of a topic or a subscription.
    func count(_ name: String, of entity: String) throws -> Int {
        (try call("counts", ["entity": entity]) as? [String: Any])?[name] as? Int ?? -1
    }

    /// A new topic with the subscriptions `a`, `b` and so on, whose sequence numbers begin at different values.
    func topic(subscriptions: Int = 1, lockDuration: Double = 30) throws -> String {
        let name = "topic\(topics.add(1, ordering: .relaxed).newValue)"
        try call("create_topic", ["name": name])
        for (index, subscription) in Self.names.prefix(subscriptions).enumerated() {
            try call(
                "create_subscription",
                [
                    "topic": name, "name": subscription, "first_sequence": 1 + index * 7_000_000_000,
                    "lock_duration": lockDuration,
                ])
        }
        return name
    }

    static let names = ["a", "b", "c", "d"]

    func configuration(_ topic: String, _ subscription: String = "a") -> ServiceBusLogConfiguration {
        ServiceBusLogConfiguration(
            host: "127.0.0.1", port: port, isEncrypted: false,
            credentials: .plain(user: "RootManageSharedAccessKey", password: "test+key/="), topic: topic,
            subscription: subscription, retryDelay: .milliseconds(5)...Duration.milliseconds(50),
            patience: .seconds(10), lookupPatience: .milliseconds(300), checkInterval: .milliseconds(50))
    }
}

/// The folder of a test, and the nodes in it.
final class Nodes: Sendable {
    let bus: BusDouble
    let topic: String
    private let folder: URL
    private let open = Mutex<[ServiceBusLog]>([])

    private init(_ bus: BusDouble, _ topic: String) throws {
        self.bus = bus
        self.topic = topic
        folder = FileManager.default.temporaryDirectory.appending(path: "service-bus-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    }

    static func with(
        _ bus: BusDouble? = nil, subscriptions: Int = 1, lockDuration: Double = 30,
        body: (Nodes) async throws -> Void
    ) async throws {
        let bus = try bus ?? BusDouble.shared.get()
        let nodes = try Nodes(bus, try bus.topic(subscriptions: subscriptions, lockDuration: lockDuration))
        do {
            try await body(nodes)
        } catch {
            await nodes.end()
            throw error
        }
        await nodes.end()
    }

    private func end() async {
        for log in open.withLock({ $0 }) { await log.close() }
        try? FileManager.default.removeItem(at: folder)
    }

    /// Ends all nodes as a crash of their processes does.
    func crash() async {
        for log in open.withLock({ $0 }) where await log.stop() { await (log.node.store as? SQLiteLog)?.abandon() }
    }

    func store(_ name: String, keeping events: Int = 100_000) -> SQLiteLog {
        SQLiteLog(
            path: folder.appending(path: "\(name).db").path, durability: .os,
            retention: Retention(events: events, bytes: 1 << 30, age: .seconds(86_400)),
            logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() })
    }

    /// A node on a subscription, with the store of that name.
    func log(
        _ subscription: String = "a", keeping events: Int = 100_000,
        _ change: (inout ServiceBusLogConfiguration) -> Void = { _ in }
    ) -> ServiceBusLog {
        log(subscription, in: store(subscription, keeping: events), change)
    }

    func log(
        _ subscription: String, in store: any EmbeddedLog,
        _ change: (inout ServiceBusLogConfiguration) -> Void = { _ in }
    ) -> ServiceBusLog {
        var configuration = bus.configuration(topic, subscription)
        change(&configuration)
        let log = ServiceBusLog(
            configuration, store: store, logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() })
        open.withLock { $0.append(log) }
        return log
    }
}
#endif
