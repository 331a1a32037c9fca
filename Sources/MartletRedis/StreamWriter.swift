// SPDX-License-Identifier: Apache-2.0

#if Redis
import Logging
import Martlet
import Synchronization

/// Adds to the stream and maintains it. Only the thread of the ``GroupPublisher`` calls it.
final class StreamWriter: @unchecked Sendable {
    private let configuration: RedisLogConfiguration
    private let sockets: OpenSockets
    /// Used on one thread only.
    private var connection: StreamConnection?

    /// How many times a new epoch may begin while one group is sent.
    private static let mostTries = 3
    /// How many times in a row the script for maintenance runs.
    private static let mostRounds = 20

    init(_ configuration: RedisLogConfiguration, sockets: OpenSockets) {
        self.configuration = configuration
        self.sockets = sockets
    }

    func send(
        _ group: GroupPublisher.Group, for log: RedisLog
    ) throws -> [Result<[Position], MartletError>] {
        do {
            for _ in 0..<Self.mostTries {
                let connection = try connected(for: log)
                guard let epoch = log.node.withLock({ $0.epoch }) else { break }
                guard let answers = try connection.append(group, in: epoch) else {
                    try reopen(connection, for: log)
                    continue
                }
                guard answers.count == group.publishes.count else { break }
                if let newest = answers.lazy.compactMap({ try? $0.get().last }).max() { log.saw(newest, in: epoch) }
                return answers.map { answer in answer.map { $0.map { StreamPlace(epoch, $0).position } } }
            }
            throw LogUnreachable("The stream was deleted again and again.")
        } catch let error as RedisError {
            log.logger.error("The server refuses events.", metadata: ["error": "\(error)"])
            throw MartletError(
                .storageFailed, "The server of the log refuses events. Nothing was published; try again later.")
        } catch let error as LogUnreachable {
            connection = nil
            throw error
        }
    }

    /// Counts entries of other programs, and removes what exceeds retention.
    func tidy(for log: RedisLog) {
        do {
            let connection = try connected(for: log)
            for _ in 0..<Self.mostRounds {
                guard let epoch = log.node.withLock({ $0.epoch }) else { return }
                guard let (last, isDone) = try connection.tidy(in: epoch) else {
                    return try reopen(connection, for: log)
                }
                log.newestOnServer.withLock { $0 = last }
                if isDone { return }
            }
        } catch {
            connection = nil
        }
    }

    private func connected(for log: RedisLog) throws -> StreamConnection {
        if let connection { return connection }
        let connection = try StreamConnection(configuration, sockets: sockets, scripts: [.open, .append, .tidy])
        try reopen(connection, for: log)
        self.connection = connection
        return connection
    }

    /// Lets the server check whether it has what this node has seen, before more is added.
    private func reopen(_ connection: StreamConnection, for log: RedisLog) throws {
        log.saw(try connection.open(known: log.node.withLock { $0.newestPlace }))
    }
}
#endif
