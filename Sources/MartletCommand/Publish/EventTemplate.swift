// SPDX-License-Identifier: Apache-2.0

import Foundation

/// What all events of a run have, but for their data.
struct EventTemplate: Equatable, Sendable {
    var topic: String
    var id: String?
    var type: String?
    var retry: Int?
    var key: String?
    var isPrivate = false

    /// The event with these data.
    ///
    /// - Parameter maximumJSONBytes: The largest line of a batch. JSON may take six times the bytes of the data.
    func event(data: String, maximumJSONBytes: Int = Batcher.Limits.defaultBytes) throws -> LineEvent {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        let members = Members(
            topic: topic, data: data, id: id, type: type, retry: retry, key: key, private: isPrivate ? true : nil)
        let json = try encoder.encode(members)
        return json.count <= maximumJSONBytes ? .json(Array(json)) : .data(self, Array(data.utf8))
    }

    private struct Members: Encodable {
        let topic: String
        let data: String
        let id: String?
        let type: String?
        let retry: Int?
        let key: String?
        let `private`: Bool?
    }
}
