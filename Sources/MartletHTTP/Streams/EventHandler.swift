// SPDX-License-Identifier: Apache-2.0

import HTTPTypes
import Hummingbird
import Martlet

/// Answers a request with a stream that a handler writes.
struct EventHandler<Context: RequestContext>: Sendable {
    typealias Handler = @Sendable (Request, Context, EventStreamWriter) async throws -> Void

    let options: EventStreamOptions
    let handler: Handler

    /// Starts the handler before the response head is written, so that an error that it throws can become the answer. The
    /// handler goes on when this returns, and is cancelled when nothing waits for the answer.
    func respond(to request: Request, context: Context) async throws -> Response {
        let asked = HubRequest(request)
        if Connection.isAboveLimit {
            return .comeBack(after: .random(in: options.retry), headers: .eventStream(to: asked))
        }
        let body = EventStreamBody(options: options, logger: context.logger)
        let outbox = body.outbox
        let lastEventID = try asked.lastEventID?.id
        let running = Running(
            Task {
                defer { outbox.finish() }
                try await request.body.consumeWithCancellationOnInboundClose { body in
                    var request = request
                    request.body = body
                    try await handler(request, context, EventStreamWriter(outbox: outbox, lastEventID: lastEventID))
                }
            })
        // The handler has ended without sending anything, so its error is the answer.
        if try await hasBegun(outbox) == false { try await running.value }
        return Response(
            status: .ok, headers: .eventStream(to: asked), body: body.responseBody { try await running.value })
    }

    /// Whether the handler has sent something; `nil` if it takes longer than the patience.
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

/// A task that is cancelled together with a task that waits for it, and when the last reference to it is gone.
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
