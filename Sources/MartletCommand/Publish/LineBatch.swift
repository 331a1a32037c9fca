// SPDX-License-Identifier: Apache-2.0

/// Some lines of the input, which are one request.
struct LineBatch: Equatable, Sendable {
    struct Line: Equatable, Sendable {
        /// In the input, counted from 1.
        let number: Int
        let event: LineEvent
    }

    /// One line at least, and only one where it is not JSON.
    let lines: [Line]

    var numbers: ClosedRange<Int> { lines[0].number...lines[lines.count - 1].number }

    /// The lines that are JSON, as the body of a batch. A line end behind the last one would make a line of the longest
    /// length too long.
    var json: [UInt8] {
        var body: [UInt8] = []
        for case .json(let line) in lines.map(\.event) { body += body.isEmpty ? line : [0x0A] + line }
        return body
    }

    /// Names the publish, so that it is done once however often it is asked for.
    ///
    /// - Parameter run: What no other run has.
    func idempotencyKey(run: String) -> String { "\(run)-\(numbers.lowerBound)-\(numbers.upperBound)" }

    /// The first so many lines, and the rest; neither may be empty.
    func split(at count: Int) -> (LineBatch, LineBatch) {
        (LineBatch(lines: Array(lines[..<count])), LineBatch(lines: Array(lines[count...])))
    }
}

/// An event as it is sent to a hub.
enum LineEvent: Equatable, Sendable {
    /// As a line of a batch: a JSON object.
    case json([UInt8])
    /// In a request that has the data as they are: escaped, they would be larger than a hub takes.
    case data(EventTemplate, [UInt8])

    var byteCount: Int {
        switch self {
        case .json(let bytes), .data(_, let bytes): bytes.count
        }
    }
}
