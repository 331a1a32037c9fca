// SPDX-License-Identifier: Apache-2.0

import MartletSupport

/// What the boards of nodes tell each other (``LogBoard``). As a text it is the board, the place, a word, and what belongs to
/// it, with spaces between them; texts and bytes are base64url.
struct Notice: Hashable, Sendable {
    enum Words: Hashable, Sendable {
        /// The board begins, or has missed something: who has postings posts them again.
        case hello
        /// A part of a posting.
        case post(NodeName, change: UInt64, version: UInt64, milliseconds: Int64, part: Int, of: Int, bytes: [UInt8])
        case renew(NodeName, change: UInt64, milliseconds: Int64)
        case remove(NodeName, change: UInt64)
        case say([UInt8])
        /// Asks the board of a place for what was put there under a name.
        case take(name: String, at: String, request: String)
        /// The answer; `nil`: there is nothing.
        case give(request: String, bytes: [UInt8]?)
    }

    var board: String
    /// The place that it comes from.
    var from: String
    var words: Words

    init(board: String, from: String, words: Words) {
        self.board = board
        self.from = from
        self.words = words
    }

    var text: String {
        let rest: [String] =
            switch words {
            case .hello: ["hello"]
            case .post(let node, let change, let version, let milliseconds, let part, let count, let bytes):
                [
                    "post", Self.encode(node.text), "\(change)", "\(version)", "\(milliseconds)", "\(part)", "\(count)",
                    Base64URL.encode(bytes),
                ]
            case .renew(let node, let change, let milliseconds):
                ["renew", Self.encode(node.text), "\(change)", "\(milliseconds)"]
            case .remove(let node, let change): ["remove", Self.encode(node.text), "\(change)"]
            case .say(let bytes): ["say", Base64URL.encode(bytes)]
            case .take(let name, let place, let request):
                ["take", Self.encode(name), Self.encode(place), Self.encode(request)]
            case .give(let request, nil): ["give", Self.encode(request)]
            case .give(let request, let bytes?): ["give", Self.encode(request), Base64URL.encode(bytes)]
            }
        return ([Self.encode(board), Self.encode(from)] + rest).joined(separator: " ")
    }

    /// `nil` if the text is no such notice.
    init?(_ text: String) {
        let parts = text.splitExactly(at: UInt8(ascii: " ")).map { String($0) }
        guard parts.count > 2, let board = Self.decode(parts[0]), let from = Self.decode(parts[1]),
            let words = Self.words(parts[2], Array(parts[3...]))
        else { return nil }
        self.init(board: board, from: from, words: words)
    }

    private static func words(_ kind: String, _ rest: [String]) -> Words? {
        func text(_ index: Int) -> String? { decode(rest[index]) }
        func node() -> NodeName? { text(0).map { NodeName(text: $0) } }
        switch (kind, rest.count) {
        case ("hello", 0): return .hello
        case ("post", 7):
            guard let node = node(), let change = UInt64(rest[1]), let version = UInt64(rest[2]),
                let milliseconds = Int64(rest[3]), let part = Int(rest[4]), let count = Int(rest[5]),
                let bytes = Base64URL.decode(rest[6].utf8)
            else { return nil }
            return .post(
                node, change: change, version: version, milliseconds: milliseconds, part: part, of: count, bytes: bytes)
        case ("renew", 3):
            guard let node = node(), let change = UInt64(rest[1]), let milliseconds = Int64(rest[2]) else { return nil }
            return .renew(node, change: change, milliseconds: milliseconds)
        case ("remove", 2):
            guard let node = node(), let change = UInt64(rest[1]) else { return nil }
            return .remove(node, change: change)
        case ("say", 1): return Base64URL.decode(rest[0].utf8).map { .say($0) }
        case ("take", 3):
            guard let name = text(0), let place = text(1), let request = text(2) else { return nil }
            return .take(name: name, at: place, request: request)
        case ("give", 1): return text(0).map { .give(request: $0, bytes: nil) }
        case ("give", 2):
            guard let request = text(0), let bytes = Base64URL.decode(rest[1].utf8) else { return nil }
            return .give(request: request, bytes: bytes)
        default: return nil
        }
    }

    private static func encode(_ text: String) -> String { Base64URL.encode(text.utf8) }

    private static func decode(_ text: String) -> String? { Base64URL.decode(text.utf8).flatMap { String(utf8: $0) } }
}
