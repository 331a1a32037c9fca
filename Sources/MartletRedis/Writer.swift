// SPDX-License-Identifier: Apache-2.0

#if Redis
import Logging
import Martlet
import Synchronization

/// Adds to the stream, on the thread of the ``GroupPublisher``, which alone calls it.
final class Writer: @unchecked Sendable {
    private let configuration: RedisLogConfiguration
    private let sockets: OpenSockets
    /// Used on one thread only.
    private var stream: Stream?

    /// How many times the stream may begin anew while a group is sent, or be tidied at one go.
    private static let mostTries = 3
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
                let stream = try connected(for: log)
                guard let epoch = log.knowledge.withLock({ $0.epoch }) else { break }
                guard let answers = try stream.append(group, in: epoch) else {
                    try reopen(stream, for: log)
                    continue
                }
                guard answers.count == group.publishes.count else { break }
                if let newest = answers.lazy.compactMap({ $0?.last }).max() { log.see(newest, in: epoch) }
                return answers.map { ids in
                    ids.map { .success($0.map { StreamPlace(epoch, $0).position }) } ?? .failure(.keyReused)
                }
            }
            throw LogUnreachable("The stream begins anew all the time.")
        } catch let error as RedisError {
            log.logger.error("What is published cannot be written.", metadata: ["error": "\(error)"])
            throw MartletError(.storageFailed, "What is published cannot be written. Nothing was; try again later.")
        } catch let error as LogUnreachable {
            stream = nil
            throw error
        }
    }

    /// Removes what is too old, and counts what others have added.
    func tidy(for log: RedisLog) {
        do {
            let stream = try connected(for: log)
            for _ in 0..<Self.mostRounds {
                guard let epoch = log.knowledge.withLock({ $0.epoch }) else { return }
                guard let (last, isDone) = try stream.tidy(in: epoch) else { return try reopen(stream, for: log) }
                log.newestOnServer.withLock { $0 = last }
                if isDone { return }
            }
        } catch {
            stream = nil
        }
    }

    private func connected(for log: RedisLog) throws -> Stream {
        if let stream { return stream }
        let stream = try Stream(configuration, sockets: sockets, scripts: [.open, .append, .tidy])
        try reopen(stream, for: log)
        self.stream = stream
        return stream
    }

    /// Has the server look whether it has what this node knows, before more is added.
    private func reopen(_ stream: Stream, for log: RedisLog) throws {
        let state = try stream.open(known: log.knowledge.withLock { $0.newestPlace })
        log.learn(state)
    }
}
#endif
