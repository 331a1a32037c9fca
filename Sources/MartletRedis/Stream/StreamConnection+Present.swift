// SPDX-License-Identifier: Apache-2.0

#if Redis
import Martlet
import MartletSupport

/// What outlives history, as `Scripts/stream.lua` stores it.
extension StreamConnection {
    /// Some topics or values, in the order in which they have changed.
    struct Changed<Item: Sendable>: Sendable {
        var items: [Item] = []
        /// The bytes that were read.
        var bytes = 0
        /// The number of the last change; `nil` if nothing is left to read.
        var end: String?
        var epoch: Epoch?
    }

    /// The epoch, and the last entry of which the scripts have taken note.
    func counted() throws -> (epoch: Epoch?, through: StreamID) {
        try connection.run(RedisCommand("HMGET", keys.log, "epoch", "last", "present")) { reply in
            let texts = reply.elements.map(\.text)
            guard texts.count == 3 else { return (nil, .zero) }
            let last = texts[1].flatMap { StreamID($0) } ?? .zero
            // Entries that are counted again were noted before.
            let before = texts[2]?.splitExactly(at: UInt8(ascii: " ")).last.flatMap { StreamID($0) } ?? .zero
            return (texts[0].flatMap { Epoch($0) }, max(last, before))
        }
    }

    /// Some of the topics that have ended, expire, have a writer, or were purged.
    ///
    /// - Parameters:
    ///   - change: Where reading goes on; `nil` for the beginning.
    ///   - count: How many to read.
    func topics(after change: String?, count: Int) throws -> Changed<TopicBook.Entry> {
        try changed(keys.topics, after: change, count: count) { name, value, epoch in
            guard let topic = String(validating: name, as: UTF8.self).flatMap({ try? Topic($0) }),
                let text = String(validating: value, as: UTF8.self)
            else { return nil }
            return TopicBook.Entry(topic, text, in: epoch)
        }
    }

    /// Some of the newest events of each topic and key.
    func values(after change: String?, count: Int) throws -> Changed<Record> {
        try changed(keys.values, after: change, count: count) { _, value, epoch in
            guard let line = value.firstIndex(of: UInt8(ascii: "\n")),
                let id = String(validating: value[..<line], as: UTF8.self).flatMap({ StreamID($0) })
            else { return nil }
            let event = value.withUnsafeBytes { bytes in
                EventFields.events(
                    inList: UnsafeRawBufferPointer(rebasing: bytes[(line + 1)...]), within: configuration.limits)
            }
            guard let event = event?.first, event.id.flatMap({ StreamPlace($0) }) == nil else { return nil }
            return Record(position: StreamPlace(epoch, id).position, event: event)
        }
    }

    private func changed<Item>(
        _ key: String, after change: String?, count: Int, _ parse: ([UInt8], [UInt8], Epoch) -> Item?
    ) throws -> Changed<Item> {
        var some = Changed<Item>()
        let order = RedisCommand(
            "ZRANGEBYSCORE", keys.order(of: key), change.map { "(\($0)" } ?? "-inf", "+inf", "WITHSCORES", "LIMIT", "0",
            "\(count)")
        let names = try connection.run(order) { reply in
            let words = reply.elements
            if words.count >= 2 * count { some.end = words.last?.text }
            return stride(from: 0, to: words.count - 1, by: 2).compactMap { words[$0].data }
        }
        // An item that has changed since is newer here, and comes again at its new place.
        connection.send(RedisCommand("HMGET", keys.log, "epoch"))
        if !names.isEmpty {
            var command = RedisCommand("HMGET", key)
            for name in names { command.append(name) }
            connection.send(command)
        }
        let epoch = try connection.receive { $0.elements.first?.text.flatMap { Epoch($0) } }
        some.epoch = epoch
        if !names.isEmpty {
            try connection.receive { reply in
                for (name, value) in zip(names, reply.elements) {
                    guard let value = value.data, let epoch else { continue }
                    some.bytes += name.count + value.count
                    if let item = parse(name, value, epoch) { some.items.append(item) }
                }
            }
        }
        return some
    }
}

extension TopicBook.Entry {
    /// What the scripts have stored: where the topic has ended, the epoch of its writer, when it expires, its last entry if
    /// it does, and the entry up to which all are gone, each `-` for none; and the name of the writer.
    fileprivate init?(_ topic: Topic, _ text: String, in epoch: Epoch) {
        let words = text.splitExactly(at: UInt8(ascii: " "), maxSplits: 5)
        guard words.count == 6 else { return nil }
        func position(_ word: Substring) -> Position? { StreamID(word).map { StreamPlace(epoch, $0).position } }
        self.init(topic: topic)
        end = position(words[0])
        if let epoch = UInt64(words[1]) { writer = TopicWriter(String(words[5]), epoch: epoch) }
        expires = Int64(words[2]).map { WallTime(milliseconds: $0) }
        last = position(words[3])
        goneThrough = position(words[4])
    }
}
#endif
