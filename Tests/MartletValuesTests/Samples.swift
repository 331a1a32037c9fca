// SPDX-License-Identifier: Apache-2.0

import Foundation

struct Order: Codable, Hashable, Sendable {
    var number: Int
    var path = "a/b"
    var note = "two\nlines"
    var time = Date(timeIntervalSince1970: 1_795_543_200.25)
    var amount = 1.5
}

/// Refuses to be encoded, with the secret that is in it.
struct Unwilling: Codable, Sendable {
    struct Refusal: Error {
        var secret = "tell-nobody"
    }

    func encode(to encoder: any Encoder) throws { throw Refusal() }
}

extension AsyncSequence {
    /// The first elements, as soon as there are so many.
    func first(_ count: Int) async throws -> [Element] {
        var elements: [Element] = []
        var iterator = makeAsyncIterator()
        while elements.count < count, let element = try await iterator.next() { elements.append(element) }
        return elements
    }
}
