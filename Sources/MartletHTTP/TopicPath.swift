// SPDX-License-Identifier: Apache-2.0

import HTTPTypes
import Martlet

extension RequestTarget {
    /// The topic that the path names after `/events/`, decoded once and not normalised: `a//b` is not `a/b`, and `a%2Fb`
    /// is `a/b`. `nil` for `/events` itself.
    var topic: Topic? {
        get throws {
            let prefix = "/events"
            guard path != prefix else { return nil }
            // A router may have dropped empty segments before; the topic begins where the client began it.
            guard path.hasPrefix(prefix + "/") else {
                throw Problem(.badRequest, "The path is not /events/{topic}.", field: "topic")
            }
            return try Topic(try Self.decode(path.dropFirst(prefix.count + 1).utf8, field: "topic"))
        }
    }
}
