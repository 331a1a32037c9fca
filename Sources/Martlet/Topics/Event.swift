// SPDX-License-Identifier: Apache-2.0

import MartletSupport

/// A message from a publisher to the subscribers of its topics.
///
/// Two events are equal where all their texts have the same bytes: spellings of one text in Unicode are told apart.
public struct Event: Hashable, Sendable {
    public var topic: Topic
    /// The data, any text; may have several lines, may be empty.
    public var data: String
    /// Whether only subscribers with a right to any of its topics receive the event.
    public var isPrivate: Bool
    private var box: Box?

    /// What many events do not have.
    private struct Rest: Sendable {
        var alternates: [Topic] = []
        var id: String?
        var type: String?
        var retry: Int?
        var key: String?
        var life: LifeBox?

        var isEmpty: Bool {
            alternates.isEmpty && id == nil && type == nil && retry == nil && key == nil && life == nil
        }
    }

    /// An object, so that events stay small and are copied fast: each passes through many hands.
    private final class Box: Sendable {
        let rest: Rest

        init(_ rest: Rest) { self.rest = rest }
    }

    private var rest: Rest {
        get { box?.rest ?? Rest() }
        set { box = newValue.isEmpty ? nil : Box(newValue) }
    }

    /// Additional topics. The event reaches each subscriber of any of its topics once.
    public var alternates: [Topic] {
        get { box?.rest.alternates ?? [] }
        set { rest.alternates = newValue }
    }

    /// The id on the wire. `nil`: the hub generates one that carries the event's position.
    ///
    /// An id that was published before makes a new event all the same; resuming from it starts after its earliest
    /// occurrence in history.
    public var id: String? {
        get { box?.rest.id }
        set { rest.id = newValue }
    }

    /// The name under which `EventSource` dispatches the event. `nil`: `message`.
    public var type: String? {
        get { box?.rest.type }
        set { rest.type = newValue }
    }

    /// How long a client waits before it reconnects from now on, in milliseconds. `nil`: unchanged.
    public var retry: Int? {
        get { box?.rest.retry }
        set { rest.retry = newValue }
    }

    /// Events of one key replace each other where only the latest counts.
    public var key: String? {
        get { box?.rest.key }
        set { rest.key = newValue }
    }

    /// The statements about the topic and the like.
    private var lifeBox: LifeBox? { box?.rest.life }

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
        self.data = data
        self.isPrivate = isPrivate
        let rest = Rest(alternates: alternates, id: id, type: type, retry: retry, key: key)
        if !rest.isEmpty { box = Box(rest) }
    }

    /// The event that ends a topic; see ``Hub/close(_:writer:)``.
    public static func end(of topic: Topic) -> Event {
        var event = Event(topic: topic, data: "")
        event.life.endsTopic = true
        return event
    }

    /// The event that removes all earlier events of a topic from what clients can read.
    package static func purge(of topic: Topic) -> Event {
        var event = Event(topic: topic, data: "")
        event.life.purgesTopic = true
        return event
    }

    var life: TopicLife {
        get { lifeBox?.life ?? TopicLife() }
        set { rest.life = newValue == TopicLife() ? nil : LifeBox(newValue) }
    }

    /// Whether the event says anything about its topic, how long it is true, or its trace.
    var hasStatements: Bool { lifeBox != nil }

    /// When the event expires: from then on it is neither replayed nor the value of its key. `nil`: never.
    public var expires: WallTime? {
        get { lifeBox?.life.expires }
        set { life.expires = newValue }
    }

    /// When the topic expires with all of its events. `nil`: as it was said before.
    public var topicExpires: WallTime? {
        get { lifeBox?.life.topicExpires }
        set { life.topicExpires = newValue }
    }

    /// The writer of the topic. The hub refuses the event if another writer has taken over.
    public var writer: TopicWriter? {
        get { lifeBox?.life.writer }
        set { life.writer = newValue }
    }

    /// The place in a distributed trace in which the event was published, for those that pass it on. Subscribers do not
    /// receive it. `nil`: the publisher did not say.
    public var traceParent: TraceParent? {
        get { lifeBox?.life.traceParent }
        set { life.traceParent = newValue }
    }

    /// Whether the topic ends with this event.
    public var endsTopic: Bool { lifeBox?.life.endsTopic ?? false }

    /// Whether all events of the topic before this one are gone.
    package var purgesTopic: Bool { lifeBox?.life.purgesTopic ?? false }

    /// Whether the event is only about its topic, and no event of the application.
    package var isControl: Bool { endsTopic || purgesTopic }

    /// The event as a repeated publish has it: how long it lives is counted from each attempt, and each attempt is another
    /// part of a trace.
    package var withoutExpiry: Event {
        guard expires != nil || topicExpires != nil || traceParent != nil else { return self }
        var event = self
        event.traceParent = nil
        event.expires = nil
        event.topicExpires = nil
        return event
    }

    /// Whether the event says anything about its topic that outlives it.
    package var changesTopic: Bool {
        guard let life = lifeBox?.life else { return false }
        return life.endsTopic || life.purgesTopic || life.writer != nil || life.topicExpires != nil
    }

    /// The topics, each once.
    var distinctTopics: [Topic] {
        guard !alternates.isEmpty else { return [topic] }
        var seen: Set<Topic> = []
        return topics.filter { seen.insert($0).inserted }
    }

    /// Whether receivers of this event do not need an earlier one: it has the same key and the same receivers.
    func replaces(_ earlier: Event) -> Bool {
        guard let key, let other = earlier.key, key.isExactly(other) else { return false }
        return topic == earlier.topic && alternates == earlier.alternates && isPrivate == earlier.isPrivate
    }

    func isExpired(at now: WallTime) -> Bool { expires.map { $0 <= now } ?? false }

    /// All that the event is about, its topic first.
    public var topics: [Topic] { [topic] + alternates }

    /// Whether the id is this one, byte for byte: two spellings of one text are two ids.
    package func hasID(_ id: String) -> Bool { self.id?.isExactly(id) ?? false }

    public static func == (a: Event, b: Event) -> Bool {
        a.topic == b.topic && a.alternates == b.alternates && a.retry == b.retry && a.isPrivate == b.isPrivate
            && a.texts == b.texts && a.lifeBox?.life == b.lifeBox?.life
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
        if traceParent != nil { count += Self.traceOverheadBytes }
        for alternate in alternates { count += alternate.name.utf8.count + Self.alternateOverheadBytes }
        return count
    }

    /// The memory of an event without its texts; an estimate.
    package static let overheadBytes = 128
    /// The memory of a trace parent; an estimate.
    package static let traceOverheadBytes = 112
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

/// The name of a value: the topic and the key of the events that replace each other.
struct EventKey: Hashable, Sendable {
    let topic: Topic
    private let key: ExactText

    /// `nil` for an event without a key.
    init?(_ event: Event) {
        guard let key = event.key else { return nil }
        topic = event.topic
        self.key = ExactText(key)
    }
}
