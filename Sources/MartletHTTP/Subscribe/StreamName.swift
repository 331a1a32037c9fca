// SPDX-License-Identifier: Apache-2.0

import HTTPTypes

/// How a client calls a stream (`?stream=…`), so that the stream can be renewed while it is open.
package enum StreamName {
    /// In bytes of UTF-8.
    static let longest = 128

    /// - Throws: ``Problem`` of status 400 where the name is empty or too long.
    package static func find(in query: [(name: String, value: String)]) throws(Problem) -> String? {
        guard let name = query.values("stream").first else { return nil }
        try check(name)
        return name
    }

    static func check(_ name: String) throws(Problem) {
        guard name.isEmpty || name.utf8.count > longest else { return }
        throw Problem(.badRequest, "The name of a stream has 1 to \(longest) bytes.", field: "stream")
    }
}
