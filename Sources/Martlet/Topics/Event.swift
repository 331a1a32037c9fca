// SPDX-License-Identifier: Apache-2.0

import MartletSupport

/// A message from a publisher to the subscribers of its topics.
///
/// Two events are equal where all their texts have the same bytes: spellings of one text in Unicode are told apart.
public struct Event: Hashable, Sendable {
    public var topic: Topic
    /// Additional topics. The event reaches each subscriber of any of its topics once.
    public var alternates: [Topic]
    /// The data, any text; may have several lines, may be empty.
    public var data: String
    /// The id on the wire. `nil`: the hub generates one that carries the event's position.
    ///
    /// An id that was published before makes a new event all the same; resuming from it starts after its earliest
    /// occurrence in history.
    public var id: String?
    /// The name under which `EventSource` dispatches the event. `nil`: `message`.
    public var type: String?
    /// How long a client waits before it reconnects from now on, in milliseconds. `nil`: unchanged.
    public var retry: Int?
    /// Events of one key replace each other where only the latest counts.
    public var key: String?
    /// Whether only subscribers with a right to any of its topics receive the event.
    public var isPrivate: Bool

    public init(
        topic: Topic,
        alternates: [Topic] = [],
        data: String,
        id: String? = nil,
        type: String? = nil,
        retry: Int? = nil,
        key: String? = nil,
        isPrivate: Bool = false
    ) {
        self.topic = topic
        self.alternates = alternates
        self.data = data
        self.id = id
        self.type = type
        self.retry = retry
        self.key = key
        self.isPrivate = isPrivate
    }

    /// All that the event is about, its topic first.
    public var topics: [Topic] { [topic] + alternates }

    /// Whether the id is this one, byte for byte: two spellings of one text are two ids.
    package func hasID(_ id: String) -> Bool { self.id?.isExactly(id) ?? false }

    public static func == (a: Event, b: Event) -> Bool {
        a.topic == b.topic && a.alternates == b.alternates && a.retry == b.retry && a.isPrivate == b.isPrivate
            && a.texts == b.texts
    }

    public func hash(into hasher: inout Hasher) {
        hasher.combine(topic)
        hasher.combine(texts)
    }

    private var texts: [ExactText?] { [data, id, type, key].map { $0.map(ExactText.init) } }

    /// The size of the event against bounds in bytes: its texts, and a fixed cost for keeping an event.
    public var byteCount: Int {
        var count = Self.overheadBytes + topic.name.utf8.count + data.utf8.count
        count += (id?.utf8.count ?? 0) + (type?.utf8.count ?? 0) + (key?.utf8.count ?? 0)
        for alternate in alternates { count += alternate.name.utf8.count + Self.alternateOverheadBytes }
        return count
    }

    /// The memory of an event without its texts; an estimate.
    package static let overheadBytes = 128
    /// The memory of an alternate topic without its name; an estimate.
    package static let alternateOverheadBytes = 32

    /// Calls back with each of the topics.
    func forEachTopic(_ body: (Topic) -> Void) {
        body(topic)
        alternates.forEach(body)
    }

    /// Whether a closure holds for any of the topics.
    func hasTopic(where condition: (Topic) -> Bool) -> Bool {
        condition(topic) || alternates.contains(where: condition)
    }
}
