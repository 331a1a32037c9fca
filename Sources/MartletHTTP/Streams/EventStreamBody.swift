// SPDX-License-Identifier: Apache-2.0

import EventStream
import Hummingbird
import Logging
import Martlet
import ServiceLifecycle

/// The body of a stream that a closure of the application writes.
struct EventStreamBody: Sendable {
    let outbox = Outbox()
    let options: EventStreamOptions
    let logger: Logger

    /// - Parameter feed: Sends events to the outbox until there are no more. It is cancelled when the client leaves or the
    ///   server shuts down, and has ended when the body has. If it throws, the stream ends as if it had returned.
    func responseBody(_ feed: @escaping @Sendable () async throws -> Void) -> ResponseBody {
        ResponseBody { writer in
            defer { outbox.close() }
            if !Connection.isAboveLimit { try await write(to: writer, while: feed) }
            try await writer.write(WireBytes.retry(.random(in: options.retry)).plain)
            try await writer.finish(nil)
        }
    }

    private func write(
        to writer: any ResponseBodyWriter, while feed: @escaping @Sendable () async throws -> Void
    ) async throws {
        // Only the first task below touches it, and that task has ended when this returns.
        nonisolated(unsafe) var writer = writer
        try await withThrowingTaskGroup(of: Bool.self) { tasks in
            tasks.addTask {
                let opening = WireBytes.opening(after: nil, retry: .random(in: options.retry))
                try await writer.write(opening.plain)
                while let block = try await outbox.next() { try await writer.write(block) }
                return true
            }
            tasks.addTask {
                await run(feed)
                return false
            }
            tasks.addTask {
                repeat { try await options.clock.sleep(for: options.heartbeat) } while outbox.beat()
                logger.debug("The client takes no data; its stream ends.")
                throw CancellationError()
            }
            tasks.addTask {
                // Blocks that were sent are still written.
                try await gracefulShutdown()
                outbox.finish()
                return false
            }
            defer { tasks.cancelAll() }
            for try await isAllWritten in tasks where isAllWritten { return }
        }
    }

    private func run(_ feed: () async throws -> Void) async {
        do {
            try await feed()
        } catch is CancellationError {
        } catch is EventStreamClosed {
        } catch {
            logger.error("The source of a stream failed; the stream ends.", metadata: ["error": "\(error)"])
        }
        outbox.finish()
    }
}
