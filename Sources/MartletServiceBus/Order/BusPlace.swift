// SPDX-License-Identifier: Apache-2.0

#if ServiceBus
import Crypto
import Martlet
import MartletSupport

/// A position, as it is written: the last message that a reader has seen, and how far it has come among the messages of
/// other publishers. A value.
///
///     HEAD[.PART][_PUBLISHER-NUMBER[.PART]]…
///
/// `HEAD` is the ``MessageName`` of the message, or, if it has none, the position in the history of this node. `PART` is
/// the number of an event in the message, unless it is the last. Nodes may receive the messages of two publishers in
/// different orders, so a reader that moves between nodes needs the rest: up to ``mostSeen`` publishers, those with the
/// newest messages first. A position without it, as publishers get it, stands for the place of the message alone.
struct BusPlace: Hashable, Sendable {
    enum Head: Hashable, Sendable {
        case message(MessageName)
        /// In the history of this node.
        case local(Position)
    }

    var head: Head
    /// From 1 on; `nil` for the last event of the message.
    var part: Int?
    var seen: [Seen] = []

    /// How far a reader is with the messages of a publisher.
    struct Seen: Hashable, Sendable {
        /// The last message.
        var name: NumberedName
        /// From 1 on; `nil` for the last event of the message.
        var part: Int?

        var text: String { part.map { "\(name.text).\($0)" } ?? name.text }
    }

    /// The most publishers that a position names beside that of its message.
    static let mostSeen = 5
    /// So that browsers send the position back.
    private static let mostBytes = 128
    private static let foreignLength = 13
    private static let foreignPrefix = "m"

    /// In front of every message of a topic.
    static func nothing(of topic: String) -> BusPlace {
        let hash = SHA256.hash(data: Array(topic.utf8)).prefix(8).reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
        return BusPlace(head: .message(.numbered(NumberedName(publisher: PublisherID(bits: hash >> 29), number: 0))))
    }

    init(head: Head, part: Int? = nil, seen: [Seen] = []) {
        self.head = head
        self.part = part
        self.seen = seen
    }

    /// The place with this text; `nil` if it is none. Each place has one spelling.
    init?(_ text: String) {
        guard text.utf8.count <= Self.mostBytes else { return nil }
        let parts = text.splitExactly(at: UInt8(ascii: "_"))
        guard let (name, part) = Self.cutPart(parts[0]) else { return nil }
        self.part = part
        if let numbered = NumberedName(name) {
            head = .message(.numbered(numbered))
        } else if let hash = name.cutting(prefix: Self.foreignPrefix), hash.utf8.count == Self.foreignLength,
            let bits = Base32.decode(hash.utf8), Base32.encode(bits, length: Self.foreignLength).isExactly(hash)
        {
            head = .message(.foreign(bits))
        } else if part == nil, Epoch.parts(of: String(name)) != nil, let position = try? Position(String(name)) {
            head = .local(position)
        } else {
            return nil
        }
        guard parts.count <= 1 + Self.mostSeen else { return nil }
        for text in parts.dropFirst() {
            guard let (text, part) = Self.cutPart(text), let name = NumberedName(text) else { return nil }
            seen.append(Seen(name: name, part: part))
        }
    }

    /// A name and the part behind it, if there is one; `nil` if that is malformed.
    private static func cutPart(_ text: Substring) -> (name: Substring, part: Int?)? {
        guard let (name, digits) = text.cutExactly(at: UInt8(ascii: ".")) else { return (text, nil) }
        guard (1...9).contains(digits.utf8.count), digits.utf8.first != UInt8(ascii: "0"),
            digits.utf8.allSatisfy(\.isDigit), let part = Int(digits)
        else { return nil }
        return (name, part)
    }

    var position: Position {
        var text =
            switch head {
            case .message(.numbered(let name)): name.text
            case .message(.foreign(let hash)): Self.foreignPrefix + Base32.encode(hash, length: Self.foreignLength)
            case .local(let position): position.text
            }
        if let part { text += ".\(part)" }
        for seen in seen.prefix(Self.mostSeen) {
            let more = "_" + seen.text
            guard text.utf8.count + more.utf8.count <= Self.mostBytes else { break }
            text += more
        }
        return Position(checked: text)
    }
}
#endif
