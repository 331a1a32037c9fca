// SPDX-License-Identifier: Apache-2.0

import MartletSupport

/// The end of a topic, as its subscribers receive it: an event of the type `end` with the data
/// `{"topic":"chat/42","reason":"closed","lastEventID":"…"}`.
public struct TopicEnd: Hashable, Sendable {
    public var topic: Topic
    /// The id that resumes behind the end.
    public var lastEventID: String

    /// The type of the event in the stream. Publishers may use it, too.
    public static let eventType = "end"

    init(_ record: Record) {
        topic = record.event.topic
        lastEventID = record.position.text
    }

    /// The data of the event in the stream.
    public var json: String {
        #"{"topic":\#(topic.name.jsonQuoted),"reason":"closed","lastEventID":"\#(lastEventID)"}"#
    }
}
