// SPDX-License-Identifier: Apache-2.0

import Synchronization

/// Reads history for cursors that are behind the window, a slice at a time, in the order in which they have asked.
final class Replayer: Sendable {
    struct Request: Hashable, Sendable {
        var selection: Selection
        var after: Position
        var through: Mark
        var framing: Framing
        /// Whether it has the ends of topics and the like, too.
        var hasControls = true
    }

    typealias Completion = @Sendable (Result<ReplaySlice, any Error>) -> Void
    private typealias Line = ReplayLine<Completion>

    /// The place of a reader in the line. The reader keeps it until it has written the slice or does not want it any more;
    /// releasing it gives the place up.
    final class Place: Sendable {
        private let ticket: ReplayLine<Completion>.Ticket
        private let replayer: Replayer

        fileprivate init(_ ticket: ReplayLine<Completion>.Ticket, of replayer: Replayer) {
            self.ticket = ticket
            self.replayer = replayer
        }

        deinit { replayer.change { $0.leave(ticket) } }
    }

    let budget: ReplayBudget
    private let limit: SliceLimit
    private let line: Mutex<Line>
    /// As many as may be on their way, at most.
    private let dueReads = AsyncStream.makeStream(of: Line.Read.self)

    /// - Parameters:
    ///   - limit: The size of a slice.
    ///   - concurrency: The most slices that are on their way from the log to readers.
    ///   - capacity: The most bytes in memory.
    init(limit: SliceLimit, concurrency: Int, capacity: Int) {
        self.limit = limit
        self.line = Mutex(Line(capacity: concurrency))
        self.budget = ReplayBudget(capacity: capacity, reserve: concurrency * limit.bytes)
    }

    /// How many slices are being read or written to their readers, and how many others are asked for.
    var reads: (onTheirWay: Int, waiting: Int) { line.withLock { ($0.onTheirWay, $0.count) } }

    /// Calls back with the slice, on any thread, unless the place is given up before. What waits is bounded by the
    /// subscribers: each asks for one at a time.
    func read(_ request: Request, _ completion: @escaping Completion) -> Place {
        Place(change { $0.join(completion, for: request) }, of: self)
    }

    /// Serves requests until the task is cancelled.
    ///
    /// - Parameter current: Leaves out events that have expired, or were purged.
    func run(_ log: any Log, _ current: @escaping @Sendable ([Record]) -> [Record]) async {
        await withDiscardingTaskGroup { group in
            for await read in dueReads.stream {
                group.addTask { await self.serve(read, from: log, current) }
            }
        }
    }

    private func serve(
        _ read: Line.Read, from log: any Log, _ current: @Sendable ([Record]) -> [Record]
    ) async {
        await hand(over: read, from: log, current)
        // Only the readers hold the slice now.
        change { $0.finish(read) }
    }

    private func hand(
        over read: Line.Read, from log: any Log, _ current: @Sendable ([Record]) -> [Record]
    ) async {
        let request = read.request
        let result: Result<ReplaySlice, any Error>
        do {
            var slice = try await log.read(
                request.selection, after: request.after, through: request.through.position, limit: limit)
            slice.records = current(slice.records)
            result = .success(ReplaySlice(slice, for: request, within: budget))
        } catch {
            result = .failure(error)
        }
        for completion in change({ $0.takeReaders(of: read) }) { completion(result) }
    }

    /// Changes the line, which may make one more read due.
    private func change<Value: Sendable>(_ body: (inout sending Line) -> Value) -> Value {
        let (value, read) = line.withLock { line in
            let value = body(&line)
            return (value, line.next())
        }
        if let read { dueReads.continuation.yield(read) }
        return value
    }
}
