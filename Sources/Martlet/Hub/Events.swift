// SPDX-License-Identifier: Apache-2.0

/// The events of a subscription, in the order of the log, each exactly once.
///
/// A gap is an element of the type ``Gap/eventType``, the end of a topic one of the type ``TopicEnd/eventType``. The
/// sequence ends when the hub stops, and when all topics of the subscription have ended and everything was read. Reading it slowly costs
/// memory nowhere: what is no longer in the window is read from history. It is for one reader.
public struct Events: AsyncSequence, Sendable {
    private let subscription: Subscription

    package init(_ subscription: Subscription) { self.subscription = subscription }

    public func makeAsyncIterator() -> Iterator { Iterator(subscription) }

    public struct Iterator: AsyncIteratorProtocol {
        private let subscription: Subscription
        private let growth: FeedGrowth
        private var cursor: Cursor
        private var ready: ArraySlice<Delivery> = []

        fileprivate init(_ subscription: Subscription) {
            self.subscription = subscription
            self.growth = FeedGrowth(of: subscription)
            self.cursor = subscription.start
            if let gap = subscription.gap { ready.append(Delivery(gap)) }
        }

        /// - Throws: `CancellationError`, or what the log throws when history has to be read.
        public mutating func next() async throws -> Delivery? {
            while true {
                if let delivery = ready.popFirst() { return delivery }
                let seen = growth.signal.version
                guard subscription.fanOut.isRunning else { return nil }
                switch subscription.fanOut.step(subscription.feed, cursor) {
                case .deliver(let entries, let mark, _):
                    ready = entries.map { Delivery($0.frame.record) }[...]
                    cursor = .at(mark)
                case .replay(let position, let mark):
                    try await read(after: position, through: mark)
                case .skip(let mark):
                    ready = [Delivery(Gap(reason: .skipped, from: mark.position))]
                    cursor = .at(mark)
                case .caughtUp(let mark):
                    cursor = .at(mark)
                    try await growth.signal.wait(past: seen)
                case .finished:
                    return nil
                case .values(_, let next, let ends):
                    // Without values, which only streams ask for.
                    ready = ends.map { Delivery($0) }[...]
                    cursor = next
                case .ahead:
                    try await growth.signal.wait(past: seen)
                }
            }
        }

        private mutating func read(after position: Position, through mark: Mark) async throws {
            let fanOut = subscription.fanOut
            let slice = try await fanOut.log.read(
                subscription.selection, after: position, through: mark.position, limit: fanOut.configuration.slice
            )
            if let gap = slice.gap { ready.append(Delivery(Gap(reason: slice.gapReason, from: gap))) }
            ready += fanOut.current(slice.records).map(Delivery.init)
            cursor = slice.isComplete ? .at(mark) : .after(slice.end)
        }
    }
}

/// An event as a subscriber receives it.
public struct Delivery: Hashable, Sendable {
    /// The id that resumes after this event.
    public var id: String
    /// `nil` for a gap, which is of no topic.
    public var topic: Topic?
    public var type: String?
    public var data: String
    /// Whether a topic has ended with it: it is none of the events that were published.
    package var endsTopic = false
    /// The key of the event.
    package var key: String?
    /// Where the subscriber stands with it.
    package var position: Position

    init(_ record: Record) {
        if record.event.purgesTopic {
            self = Delivery(Gap(reason: .purged, from: record.position))
            return
        }
        id = record.event.endsTopic ? record.position.text : record.id
        position = record.position
        topic = record.event.topic
        endsTopic = record.event.endsTopic
        key = record.event.key
        type = record.event.endsTopic ? TopicEnd.eventType : record.event.type
        data = record.event.endsTopic ? TopicEnd(record).json : record.event.data
    }

    init(_ gap: Gap) {
        id = gap.from.text
        position = gap.from
        type = Gap.eventType
        data = gap.json
    }
}

/// Signals that the feed of a subscription has grown, while this object exists.
final class FeedGrowth: Sendable {
    private final class Listener: FeedListener {
        let signal = Signal()
        func feedsGrew(_ feeds: [FeedID]) { signal.fire() }
    }

    private let subscription: Subscription
    private let listener = Listener()

    var signal: Signal { listener.signal }

    init(of subscription: Subscription) {
        self.subscription = subscription
        subscription.fanOut.listen(listener, to: subscription.feed)
    }

    deinit { subscription.fanOut.ignore(listener, subscription.feed) }
}
