// SPDX-License-Identifier: Apache-2.0

import HTTPTypes
import Martlet
import MartletSupport

extension RequestTarget {
    /// The topic that the path names after `/events/`, decoded once and not normalised: `a//b` is not `a/b`, and `a%2Fb`
    /// is `a/b`. `nil` for `/events` itself.
    var topic: Topic? {
        get throws {
            guard !path.isExactly("/events") else { return nil }
            // A router may have dropped empty segments before; the topic begins where the client began it.
            guard let topic = path.cutting(prefix: "/events/") else {
                throw Problem(.badRequest, "The path is not /events/{topic}.", field: "topic")
            }
            return try Topic(try Self.decode(topic.utf8, field: "topic"))
        }
    }
}
