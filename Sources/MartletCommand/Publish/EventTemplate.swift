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

    /// The event with these data, as a line of a batch.
    func line(data: String) throws -> [UInt8] {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        return Array(
            try encoder.encode(
                Members(
                    topic: topic, data: data, id: id, type: type, retry: retry, key: key,
                    private: isPrivate ? true : nil)))
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
