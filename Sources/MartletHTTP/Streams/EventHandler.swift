// SPDX-License-Identifier: Apache-2.0

import HTTPTypes
import Hummingbird
import Martlet

/// Answers with a stream that a handler writes.
struct EventHandler<Context: RequestContext>: Sendable {
    typealias Handler = @Sendable (Request, Context, EventStreamWriter) async throws -> Void

    let options: EventStreamOptions
    let handler: Handler

    /// The handler begins before the head of the answer is written, so that what it throws can be answered. It goes on when
    /// this returns, and is cancelled when nobody wants the answer.
    func respond(to request: Request, context: Context) async throws -> Response {
        if Connection.isAboveLimit {
            return .comeBack(after: .random(in: options.retry), headers: .eventStream(to: request))
        }
        let body = EventStreamBody(options: options, logger: context.logger)
        let outbox = body.outbox
        let lastEventID = request.resumeID(try RequestTarget(request).query)
        let running = Running(
            Task {
                defer { outbox.finish() }
                try await request.body.consumeWithCancellationOnInboundClose { body in
                    var request = request
                    request.body = body
                    try await handler(request, context, EventStreamWriter(outbox: outbox, lastEventID: lastEventID))
                }
            })
        // Nothing was sent and nothing will be: what the handler throws is the answer.
        if try await hasBegun(outbox) == false { try await running.value }
        return Response(
            status: .ok, headers: .eventStream(to: request), body: body.responseBody { try await running.value })
    }

    /// Whether something was sent; `nil` where that takes its time.
    private func hasBegun(_ outbox: Outbox) async throws -> Bool? {
        try await withThrowingTaskGroup(of: Bool?.self) { tasks in
            tasks.addTask { try await outbox.waitForFirst() }
            tasks.addTask {
                try await options.clock.sleep(for: options.patience)
                return nil
            }
            defer { tasks.cancelAll() }
            return try await tasks.next() ?? nil
        }
    }
}

/// A task that is cancelled with whoever waits for it, and when nobody is left who could.
private final class Running: Sendable {
    private let task: Task<Void, any Error>

    init(_ task: Task<Void, any Error>) { self.task = task }

    deinit { task.cancel() }

    var value: Void {
        get async throws {
            try await withTaskCancellationHandler {
                try await task.value
            } onCancel: {
                task.cancel()
            }
        }
    }
}
