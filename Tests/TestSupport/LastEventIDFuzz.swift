// SPDX-License-Identifier: Apache-2.0

package import Martlet
import Testing

/// Ids from clients, against a log with a few events.
package enum LastEventIDFuzz {
    private static let pieces = [
        "0", "1", "9", "-", ".", ":", "earliest", "gap", "chosen", "#", " ", "\t", "\u{301}", "\u{E9}", "e\u{301}",
        "\0", "\n",
        "00000000", "FFFFFFFFFFFFFFFF", "18446744073709551615", "99999999999999999999", "~", "%", "/", "*",
    ]

    /// Resolves random ids and reads the events that follow. The client must get all events of its topic, or a gap.
    package static func run(on log: some Log) async throws {
        _ = try await log.open()
        var events = (0..<20).map { Event(topic: "a", data: "\($0)") }
        events[5].id = "chosen"
        events[6].id = " \u{301}chosen"
        let positions = try await log.append(events)
        let end = try #require(positions.last)
        let selection = Selection(topics: ["a"])
        let corpus = ["earliest", "chosen", " \u{301}chosen"] + positions.map(\.text)
        var input = FuzzInput(pieces: pieces, count: 5000)
        while await input.next(from: corpus) {
            let resolution = try await log.resolve(input.text, for: selection)
            guard log.covers(end, resolution.position) else { continue }
            var position = resolution.position
            var data: [String] = []
            while position != end {
                let slice = try await log.read(selection, after: position, through: end, limit: SliceLimit())
                data += slice.records.map(\.event.data)
                position = slice.end
                guard !slice.isComplete else { break }
            }
            guard data.elementsEqual(events.suffix(data.count).map(\.data)) else { return input.fail("read \(data)") }
        }
    }
}
