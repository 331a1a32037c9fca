// SPDX-License-Identifier: Apache-2.0

/// Cuts text that comes in pieces into its lines, which end with LF or CRLF; the last may end without.
///
/// It holds at most what it was given and one line besides.
struct LineSplitter: Sendable {
    struct Line: Equatable, Sendable {
        /// Counted from 1.
        let number: Int
        let text: String
    }

    /// In bytes, without the line end.
    let maximumLineBytes: Int
    private var bytes: [UInt8] = []
    private var start = 0
    /// Up to where there is known to be no line end.
    private var searched = 0
    private var isFinished = false
    private var number = 0

    init(maximumLineBytes: Int) { self.maximumLineBytes = maximumLineBytes }

    mutating func append(_ more: some Sequence<UInt8>) {
        bytes.removeSubrange(..<start)
        searched -= start
        start = 0
        bytes.append(contentsOf: more)
    }

    /// There is nothing more to come.
    mutating func finish() { isFinished = true }

    /// The next line that is complete; `nil` if there is none.
    ///
    /// - Throws: ``ClientError`` where a line is too long, or not UTF-8.
    mutating func next() throws(ClientError) -> Line? {
        let end = bytes[searched...].firstIndex(of: 0x0A)
        searched = end ?? bytes.endIndex
        let line = bytes[start..<searched]
        guard line.count <= maximumLineBytes + 1, line.last == 0x0D || line.count <= maximumLineBytes else {
            throw ClientError(
                .failed, "line \(number + 1) of the input is over \(maximumLineBytes) bytes; make it shorter")
        }
        guard end != nil || isFinished && !line.isEmpty else { return nil }
        number += 1
        start = end.map { $0 + 1 } ?? bytes.endIndex
        searched = start
        guard let text = String(validating: line.last == 0x0D ? line.dropLast() : line, as: UTF8.self) else {
            throw ClientError(.failed, "line \(number) of the input is not UTF-8; convert the input to UTF-8")
        }
        return Line(number: number, text: text)
    }
}
