// SPDX-License-Identifier: Apache-2.0

import DequeModule
import Martlet
import NIOCore
import Synchronization

/// Passes blocks to the task that writes one connection. Each sender waits until its block is written, so there are never
/// more blocks here than senders.
final class Outbox: Sendable {
    private enum End {
        /// Nothing more will be sent; blocks that were sent are still written.
        case finished
        /// Nothing more can be written.
        case closed
    }

    private struct State {
        var blocks: Deque<(id: UInt64, bytes: ByteBuffer)> = []
        var lastID: UInt64 = 0
        /// The block that is being written.
        var writing: UInt64?
        /// The number of writes that have started, including heartbeats, and whether the last one is in progress.
        var writes = 0
        var isWriting = false
        /// The values of `lastID` and `writes` at the last beat.
        var idAtBeat: UInt64?
        var writesAtBeat = 0
        var isBeatDue = false
        var end: End?
    }

    private let state = Mutex(State())
    private let changed = Signal()

    // MARK: Sending

    /// Returns when the block is written.
    ///
    /// - Throws: ``EventStreamClosed``; or `CancellationError` if the client has left or the task is cancelled, after
    ///   which it is not known whether the block was written.
    func send(_ bytes: ByteBuffer) async throws {
        let id = try state.withLock { state in
            if let end = state.end { throw Self.error(of: end) }
            state.lastID += 1
            state.blocks.append((state.lastID, bytes))
            return state.lastID
        }
        changed.fire()
        do {
            try await changed.wait { () throws -> Void? in
                try state.withLock { state in
                    if state.end == .closed { throw CancellationError() }
                    return state.writing == id || state.blocks.contains { $0.id == id } ? nil : ()
                }
            }
        } catch {
            state.withLock { $0.blocks.removeAll { $0.id == id } }
            throw error
        }
    }

    private static func error(of end: End) -> any Error {
        end == .closed ? CancellationError() : EventStreamClosed()
    }

    /// Nothing more will be sent.
    func finish() { end(.finished) }

    /// The client has left.
    func close() { end(.closed) }

    private func end(_ end: End) {
        state.withLock { state in
            if state.end != .closed { state.end = end }
        }
        changed.fire()
    }

    /// Waits until something is sent, or until it is clear that nothing will be. Returns whether something was sent.
    func waitForFirst() async throws -> Bool {
        try await changed.wait {
            state.withLock { state in
                if !state.blocks.isEmpty { return true }
                return state.end == nil ? nil : false
            }
        }
    }

    // MARK: Writing

    /// The next block to write; `nil` when there are no more. Calling this says that the previous block is written.
    ///
    /// - Throws: `CancellationError` if the client has left.
    func next() async throws -> ByteBuffer? {
        state.withLock { state in
            state.writing = nil
            state.isWriting = false
        }
        changed.fire()
        return try await changed.wait { () throws -> ByteBuffer?? in
            try state.withLock { state in
                if state.end == .closed { throw CancellationError() }
                let bytes: ByteBuffer
                if let block = state.blocks.popFirst() {
                    state.writing = block.id
                    bytes = block.bytes
                } else if state.end != nil {
                    return .some(nil)
                } else if state.isBeatDue {
                    bytes = WireBytes.comment.plain
                } else {
                    return nil
                }
                state.isBeatDue = false
                state.isWriting = true
                state.writes += 1
                return .some(bytes)
            }
        }
    }

    /// Requests a heartbeat if nothing was sent since the last beat. Returns whether the client takes data: `false` if a
    /// write that was in progress at the last beat still is.
    func beat() -> Bool {
        let isTaken = state.withLock { state in
            defer { (state.idAtBeat, state.writesAtBeat) = (state.lastID, state.writes) }
            if state.isWriting { return state.writes != state.writesAtBeat }
            state.isBeatDue = state.idAtBeat.map { $0 == state.lastID } ?? (state.lastID == 0)
            return true
        }
        changed.fire()
        return isTaken
    }
}
