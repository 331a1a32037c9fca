// SPDX-License-Identifier: Apache-2.0

/// Some lines of the input, which are one request.
struct LineBatch: Equatable, Sendable {
    struct Line: Equatable, Sendable {
        /// In the input, counted from 1.
        let number: Int
        /// The event: a JSON object.
        let json: [UInt8]
    }

    /// One line at least.
    let lines: [Line]

    var numbers: ClosedRange<Int> { lines[0].number...lines[lines.count - 1].number }

    /// The body of the request: one JSON object a line.
    var body: [UInt8] { lines.flatMap { $0.json + [0x0A] } }

    /// Names the publish, so that it is done once however often it is asked for.
    ///
    /// - Parameter run: What no other run has.
    func idempotencyKey(run: String) -> String { "\(run)-\(numbers.lowerBound)-\(numbers.upperBound)" }

    /// The first so many lines, and the rest; neither may be empty.
    func split(at count: Int) -> (LineBatch, LineBatch) {
        (LineBatch(lines: Array(lines[..<count])), LineBatch(lines: Array(lines[count...])))
    }
}
