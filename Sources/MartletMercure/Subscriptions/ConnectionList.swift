// SPDX-License-Identifier: Apache-2.0

/// Encodes the connections of a node for the other nodes.
///
/// The first byte is the version of the format. Each connection follows, in the order in which they began: its subscriber,
/// the number of its selectors, the selectors, and 0, or 1 and its payload. A text follows its length in bytes of UTF-8. A
/// number is written in groups of seven bits, the lowest first; all but the last have the eighth bit set.
enum ConnectionList {
    /// Bytes that are no list of this format.
    struct Unreadable: Error {}

    private static let format: UInt8 = 1

    /// - Parameter bytes: The largest list.
    /// - Returns: The list, and how many of the newest connections it omits for lack of room.
    static func encode(_ entries: [ActiveConnection.Entry], atMost bytes: Int) -> (list: [UInt8], omitted: Int) {
        var list = [format]
        for (number, entry) in entries.enumerated() {
            let end = list.count
            list.append(text: entry.subscriber)
            list.append(number: entry.selectors.count)
            for selector in entry.selectors { list.append(text: selector) }
            list.append(entry.payload == nil ? 0 : 1)
            if let payload = entry.payload { list.append(text: payload) }
            if list.count > bytes {
                list.removeLast(list.count - end)
                return (list, entries.count - number)
            }
        }
        return (list, 0)
    }

    static func decode(_ list: [UInt8]) throws(Unreadable) -> [ActiveConnection.Entry] {
        guard list.first == format else { throw Unreadable() }
        var rest = list.dropFirst()
        var entries: [ActiveConnection.Entry] = []
        while !rest.isEmpty {
            let subscriber = try rest.takeText()
            var selectors: [String] = []
            for _ in 0..<(try rest.takeNumber()) { selectors.append(try rest.takeText()) }
            let payload =
                switch try rest.takeNumber() {
                case 0: String?.none
                case 1: try rest.takeText()
                default: throw Unreadable()
                }
            entries.append(
                ActiveConnection.Entry(
                    subscriber: subscriber, selectors: selectors, payload: payload, arrival: entries.count + 1))
        }
        return entries
    }
}

extension [UInt8] {
    fileprivate mutating func append(number: Int) {
        var rest = number
        while rest > 0x7F {
            append(UInt8(rest & 0x7F) | 0x80)
            rest >>= 7
        }
        append(UInt8(rest))
    }

    fileprivate mutating func append(text: String) {
        append(number: text.utf8.count)
        append(contentsOf: text.utf8)
    }
}

extension ArraySlice<UInt8> {
    /// A number of at most 35 bits.
    fileprivate mutating func takeNumber() throws(ConnectionList.Unreadable) -> Int {
        var number = 0
        for shift in stride(from: 0, to: 35, by: 7) {
            guard let byte = popFirst() else { throw ConnectionList.Unreadable() }
            number |= Int(byte & 0x7F) << shift
            if byte < 0x80 { return number }
        }
        throw ConnectionList.Unreadable()
    }

    fileprivate mutating func takeText() throws(ConnectionList.Unreadable) -> String {
        let length = try takeNumber()
        guard length <= count, let text = String(validating: prefix(length), as: UTF8.self) else {
            throw ConnectionList.Unreadable()
        }
        removeFirst(length)
        return text
    }
}
