// SPDX-License-Identifier: Apache-2.0

import MartletClient
import MartletSupport

/// The lines of the input that have arrived and are not published yet. It does no I/O.
struct PendingLines: Sendable {
    /// What a line of the input is.
    enum Format: Equatable, Sendable {
        /// The data of an event; everything else is in the template.
        case data(HubEvent)
        /// An event as a JSON object. Blank lines are skipped.
        case events
    }

    struct Line: Equatable, Sendable {
        /// The number in the input, from 1.
        let number: Int
        let event: HubEvent.Source
    }

    /// The longest line of the input, in bytes: the size of data that a hub accepts by default.
    static let defaultMaximumLineBytes = 1024 * 1024
    /// How many lines and bytes are enough for a request.
    private static let enough = (lines: 1000, bytes: 512 * 1024)

    private let format: Format
    private var splitter: LineSplitter
    private var lines: [Line] = []
    private var byteCount = 0
    private var isFinished = false
    private var failure: ClientError?

    init(_ format: Format, maximumLineBytes: Int = Self.defaultMaximumLineBytes) {
        self.format = format
        splitter = LineSplitter(maximumLineBytes: maximumLineBytes)
    }

    var isEmpty: Bool { lines.isEmpty }

    /// Whether to read more of the input now.
    var takesMore: Bool {
        !isFinished && failure == nil && lines.count < Self.enough.lines && byteCount < Self.enough.bytes
    }

    /// Takes the next bytes of the input; none mean its end.
    mutating func append(_ bytes: [UInt8]) {
        if bytes.isEmpty {
            isFinished = true
            splitter.finish()
        }
        splitter.append(bytes)
        do {
            while let line = try splitter.next() { append(line) }
        } catch {
            // The lines before it are good.
            failure = error
        }
    }

    /// All lines that have arrived; `nil` if there are none.
    ///
    /// - Throws: ``ClientError`` for a line that cannot be sent, after the lines before it were taken.
    mutating func take() throws(ClientError) -> [Line]? {
        guard !lines.isEmpty else {
            if let failure { throw failure }
            return nil
        }
        defer {
            lines = []
            byteCount = 0
        }
        return lines
    }

    private mutating func append(_ line: LineSplitter.Line) {
        let event: HubEvent.Source
        switch format {
        case .data(var template):
            template.data = line.text
            event = .event(template)
        case .events:
            guard line.text.utf8.contains(where: { !$0.isBlank && $0 != 0x0D }) else { return }
            event = .json(Array(line.text.utf8))
        }
        lines.append(Line(number: line.number, event: event))
        byteCount += line.text.utf8.count
    }
}

/// Cuts text that arrives in pieces into lines. They end with LF or CRLF; the last one needs no end.
///
/// It holds at most what it received since the last call, and one line.
struct LineSplitter: Sendable {
    struct Line: Equatable, Sendable {
        /// From 1.
        let number: Int
        let text: String
    }

    /// In bytes, without the line end.
    let maximumLineBytes: Int
    private var bytes: [UInt8] = []
    private var start = 0
    /// Before this index, there is no line end.
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

    /// Declares that no more bytes follow.
    mutating func finish() { isFinished = true }

    /// The next complete line; `nil` if there is none.
    ///
    /// - Throws: ``ClientError`` if a line is too long, or not UTF-8.
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
