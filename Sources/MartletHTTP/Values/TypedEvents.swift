// SPDX-License-Identifier: Apache-2.0

import Martlet

/// The values of a topic, in the order of the log, each exactly once. The sequence ends when the hub stops.
///
/// It throws ``EventValueError`` at an event that is no such value, and where a gap is: nothing is passed over in silence.
/// Who can do without what is missing subscribes again after the id of the error:
///
///     } catch let error as EventValueError {
///         if error.code == .gap { await reload() }
///         id = error.id
///     }
public struct TypedEvents<Value: Codable & Sendable>: AsyncSequence, Sendable {
    private let events: Events
    private let topic: Topic

    init(_ events: Events, of topic: Topic) {
        self.events = events
        self.topic = topic
    }

    public func makeAsyncIterator() -> Iterator { Iterator(events: events.makeAsyncIterator(), topic: topic) }

    public struct Iterator: AsyncIteratorProtocol {
        fileprivate var events: Events.Iterator
        fileprivate let topic: Topic

        /// - Throws: ``EventValueError``, `CancellationError`, or what the log throws when history has to be read.
        public mutating func next() async throws -> TypedDelivery<Value>? {
            guard let delivery = try await events.next() else { return nil }
            return try TypedDelivery(delivery, on: topic)
        }
    }
}
