// SPDX-License-Identifier: Apache-2.0

import Synchronization

/// Reads history for cursors that are behind the window, a slice at a time. Cursors that wait for the same slice share
/// it, and only so many slices are read at the same time.
final class Replayer: Sendable {
    struct Request: Hashable, Sendable {
        var selection: Selection
        var after: Position
        var through: Mark
    }

    /// A slice of history as frames, which all who asked for it share.
    struct Slice: Sendable {
        var frames: [Frame]
        var end: Position
        var isComplete: Bool
        var gap: Position?
    }

    typealias Completion = @Sendable (Result<Slice, any Error>) -> Void

    private let limit: SliceLimit
    private let concurrency: Int
    private let waiting = Mutex<[Request: [Completion]]>([:])
    private let requests = AsyncStream.makeStream(of: Request.self)

    /// - Parameter concurrency: The most slices that are read at the same time.
    init(limit: SliceLimit, concurrency: Int) {
        self.limit = limit
        self.concurrency = concurrency
    }

    /// Calls back with the slice, on any thread. What waits is bounded by the subscribers: each asks for one at a time.
    func read(_ request: Request, _ completion: @escaping Completion) {
        let isFirst = waiting.withLock { waiting in
            waiting[request, default: []].append(completion)
            return waiting[request]?.count == 1
        }
        if isFirst { requests.continuation.yield(request) }
    }

    /// Serves requests until the task is cancelled.
    func run(_ log: any Log) async {
        await withTaskGroup(of: Void.self) { group in
            var running = 0
            for await request in requests.stream {
                if running == concurrency {
                    await group.next()
                    running -= 1
                }
                group.addTask { await self.serve(request, from: log) }
                running += 1
            }
        }
    }

    private func serve(_ request: Request, from log: any Log) async {
        let result: Result<Slice, any Error>
        do {
            let slice = try await log.read(
                request.selection, after: request.after, through: request.through.position, limit: limit
            )
            result = .success(
                Slice(
                    frames: slice.records.map { Frame($0) }, end: slice.end, isComplete: slice.isComplete,
                    gap: slice.gap
                )
            )
        } catch {
            result = .failure(error)
        }
        for completion in waiting.withLock({ $0.removeValue(forKey: request) }) ?? [] { completion(result) }
    }
}
