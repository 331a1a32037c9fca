// SPDX-License-Identifier: Apache-2.0

import GRDB
public import Martlet
import MartletSupport
import Synchronization

extension SQLiteLog: EmbeddedLog {
    public var offsets: Range<UInt64> {
        guard let history = try? history else { return 1..<1 }
        return history.index.withLock { $0.first..<$0.last + 1 }
    }

    public func position(at offset: UInt64) -> Position { (try? history)?.position(offset) ?? .earliest }

    public func offset(of position: Position) -> UInt64? {
        guard let history = try? history,
            case .at(let offset) = history.segments.find(position.text, last: history.last)
        else { return nil }
        return offset
    }

    public var hasRoom: Bool {
        guard let history = try? history else { return false }
        return state.withLock { history.tail.byteCount + $0.backlog.byteCount < gate.queue.backlogBytes }
    }

    public func makeRoom() { (try? history)?.tail.clear() }

    public func append(
        inOrder publishes: [(events: [Event], key: String)],
        answered: @escaping @Sendable (_ number: Int, _ first: Result<UInt64, any Error>) -> Void
    ) {
        let failure = Failure()
        let isOpen = state.withLock { state in
            guard case .open(let history) = state.phase else { return false }
            for (number, publish) in publishes.enumerated() {
                let byteCount = publish.events.reduce(0) { $0 + $1.byteCount }
                state.backlog.reserve(byteCount)
                state.backlog.append(
                    PendingPublish(
                        publish.events, once: publish.key, byteCount: byteCount, mustFail: { failure.hasHappened },
                        mayBeRefused: false
                    ) { answer in
                        if case .failure = answer { failure.happened() }
                        answered(
                            number,
                            answer.map { positions in
                                let first = positions.first.flatMap { history.segments.find($0.text, last: .max) }
                                if case .at(let offset)? = first { return offset } else { return 0 }
                            })
                    })
            }
            return true
        }
        guard isOpen else {
            for number in publishes.indices { answered(number, .failure(MartletError.logNotOpen)) }
            return
        }
        write()
    }

    public func forEachPublish(
        _ body: @escaping @Sendable (_ first: UInt64, _ count: Int, _ key: String) -> Void
    ) async throws {
        let history = try history
        try await history.file.pool.read { database in
            try EventRow.forEachPublish(in: database) { offset, publish in body(offset, publish.count, publish.key) }
        }
    }
}

/// Whether one of several publishes has failed.
private final class Failure: Sendable {
    private let state = Atomic(false)

    var hasHappened: Bool { state.load(ordering: .acquiring) }
    func happened() { state.store(true, ordering: .releasing) }
}
