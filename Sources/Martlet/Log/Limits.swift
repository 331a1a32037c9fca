// SPDX-License-Identifier: Apache-2.0

import EventStream
import MartletSupport

/// The limits of what the hub accepts, in bytes and counts. An event or a subscription over a limit is refused with an
/// error that names the field.
public struct Limits: Sendable {
    /// The longest topic and the longest selector of topics, in bytes of UTF-8.
    public var topicBytes = 1024
    /// The longest id, in bytes of UTF-8. Browsers send ids of more than 128 bytes only after a CORS preflight.
    public var idBytes = 1024
    /// The longest type, in bytes of UTF-8.
    public var typeBytes = 256
    /// The longest key, in bytes of UTF-8.
    public var keyBytes = 1024
    /// The longest name of a writer, in bytes of UTF-8.
    public var writerBytes = 256
    /// The longest idempotency key, in bytes of UTF-8.
    public var idempotencyKeyBytes = 255
    /// The most data in one event, in bytes of UTF-8.
    public var dataBytes = 1024 * 1024
    /// The longest time before a client reconnects that a publisher may set, in milliseconds.
    public var retryMilliseconds = 24 * 60 * 60 * 1000
    /// The most topics of one event.
    public var topicsPerEvent = 1000
    /// The most topics and selectors of topics that one subscription names.
    public var topicsPerSubscription = 1000
    /// The most events of one page of history.
    public var eventsPerPage = 1000
    /// The most different templates with the same literal text that the subscriptions of a node name, such as
    /// `{id}/orders` and `{+path}/orders`. There is no limit for templates with different literal texts: a topic is
    /// compared only with those whose text it contains.
    ///
    /// Literal text is the text in front of, between and behind the expressions. Of the text between, the longest
    /// pieces count: four of up to 16 bytes, or two of more, of which the last 64 bytes.
    public var templatesAlike = TemplateCensus.defaultMostAlike

    public init() {}

    /// Throws if the event is over a limit or cannot be written to a stream.
    public func check(_ event: Event) throws(MartletError) {
        try checkPublished(event.topic.name)
        for topic in event.alternates { try checkPublished(topic.name) }
        if event.alternates.count >= topicsPerEvent {
            let message = "The event has \(event.alternates.count + 1) topics. Name at most \(topicsPerEvent)."
            throw MartletError(.invalidTopic, field: "topic", message)
        }
        try check(event.id, as: "id", atMost: idBytes, or: .invalidID)
        try check(event.type, as: "type", atMost: typeBytes, or: .invalidType)
        try check(event.key, as: "key", atMost: keyBytes, or: .invalidKey)
        try check(event.writer?.name, as: "Stream-Writer", atMost: writerBytes, or: .invalidWriter)
        if event.id?.isExactly(Position.earliest.text) == true {
            throw MartletError(.invalidID, field: "id", "The id \"earliest\" is reserved. Choose another.")
        }
        if let id = event.id, id.utf8.first == UInt8(ascii: " ") || id.utf8.last == UInt8(ascii: " ") {
            let message = "The id begins or ends with a space, which a browser does not send back. Leave it out."
            throw MartletError(.invalidID, field: "id", message)
        }
        if event.id?.utf8.first == UInt8(ascii: "#") {
            throw MartletError(.invalidID, field: "id", "The id begins with #, which is reserved. Begin it otherwise.")
        }
        if event.type?.isExactly(Gap.eventType) == true {
            throw MartletError(.invalidType, field: "type", "The type \"gap\" is reserved. Choose another.")
        }
        if let retry = event.retry, retry < 0 || retry > retryMilliseconds {
            let message = "The retry is not from 0 to \(retryMilliseconds) milliseconds."
            throw MartletError(.invalidRetry, field: "retry", message)
        }
        if event.data.utf8.count > dataBytes {
            throw MartletError(.tooLarge, field: "data", "The data is over \(dataBytes) bytes. Send less.")
        }
    }

    /// Throws if the idempotency key is empty, too long, or has control characters.
    public func check(idempotencyKey key: String?) throws(MartletError) {
        try check(key, as: "Idempotency-Key", atMost: idempotencyKeyBytes, or: .invalidIdempotencyKey)
    }

    /// Throws if the selection names no topics, too many, or one that is too long.
    public func check(_ selection: Selection) throws(MartletError) {
        if let topic = selection.onlyTopic { return try check(topic.name) }
        let selectors = selection.selectors
        guard !selectors.isEmpty, selectors.count <= topicsPerSubscription else {
            let message = "Name 1 to \(topicsPerSubscription) topics; these are \(selectors.count)."
            throw MartletError(.invalidSubscription, field: "topic", message)
        }
        for selector in selectors { try check(selector.text) }
    }

    private func checkPublished(_ topic: String) throws(MartletError) {
        try check(topic)
        guard ReservedNamespace.contains(topic) else { return }
        let message = "Topics in \(ReservedNamespace.path) are the hub's own. Choose another."
        throw MartletError(.reservedTopic, field: "topic", message)
    }

    private func check(_ topic: String) throws(MartletError) {
        if topic.utf8.count > topicBytes {
            throw MartletError(.invalidTopic, field: "topic", "The topic is over \(topicBytes) bytes. Shorten it.")
        }
    }

    private func check(
        _ text: String?, as field: String, atMost bytes: Int, or code: MartletError.Code
    ) throws(MartletError) {
        guard let text else { return }
        if text.isEmpty {
            throw MartletError(code, field: field, "The \(field) is empty. Leave it out, or give one.")
        }
        if text.utf8.count > bytes {
            throw MartletError(code, field: field, "The \(field) is over \(bytes) bytes. Shorten it.")
        }
        if text.hasControlCharacters {
            throw MartletError(code, field: field, "The \(field) has control characters. Leave them out.")
        }
    }
}
