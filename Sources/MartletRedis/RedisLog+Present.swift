// SPDX-License-Identifier: Apache-2.0

#if Redis
public import Martlet

/// What outlives history.
extension RedisLog {
    /// How many times reading begins again because a new epoch began.
    private static let mostTries = 3

    public func present(through end: Position) async throws -> Present {
        for _ in 0..<Self.mostTries {
            if let present = try await readPresent(through: end) { return present }
        }
        throw MartletError.logUnreachable()
    }

    /// `nil` if a new epoch has begun meanwhile.
    private func readPresent(through end: Position) async throws -> Present? {
        let (epoch, counted) = try await reading { try $0.counted() }
        guard let epoch, let topics = try await readAll({ try $0.topics(after: $1, count: $2) }, in: epoch),
            let values = try await readAll({ try $0.values(after: $1, count: $2) }, in: epoch)
        else { return nil }
        let book = TopicBook(topics, capacity: configuration.topics)
        let now = WallTime.now
        var present = Present(
            values: values.filter { value in
                book[value.event.topic]?.gone(at: now).map { !covers($0, value.position) } ?? true
            })
        present.topics = book
        // What the scripts have not come to yet.
        guard let stop = StreamPlace(end.text), stop.epoch == epoch, stop.id > counted else { return present }
        var (place, isComplete) = (StreamPlace(epoch, counted).position, false)
        while !isComplete {
            let slice = try await read(nil, after: place, through: end, limit: SliceLimit())
            for record in slice.records { present.note(record) }
            (place, isComplete) = (slice.end, slice.isComplete)
        }
        return present
    }

    /// Reads all of one kind, some at a time. `nil` if a new epoch has begun.
    private func readAll<Item: Sendable>(
        _ readSome: @escaping @Sendable (StreamConnection, String?, Int) throws -> StreamConnection.Changed<Item>,
        in epoch: Epoch
    ) async throws -> [Item]? {
        var items: [Item] = []
        var place: String?
        var chunk = ChunkSize()
        while true {
            let some = try await reading { [place, chunk] in try readSome($0, place, chunk.count) }
            guard some.epoch == epoch else { return nil }
            items += some.items
            guard let end = some.end else { return items }
            place = end
            chunk.adapt(to: chunk.count, bytes: some.bytes)
        }
    }
}
#endif
