// SPDX-License-Identifier: Apache-2.0

import MartletSupport

/// Makes batches of the lines of an input, in their order. It reads nothing and sends nothing.
struct Batcher: Sendable {
    /// What the lines of the input are.
    enum Input: Equatable, Sendable {
        /// The data of events.
        case data(EventTemplate)
        /// Events, each a JSON object; blank lines are skipped.
        case events
    }

    struct Limits: Equatable, Sendable {
        /// The longest line of the input, in bytes: as much data as a hub takes by default.
        var lineBytes = 1024 * 1024
        /// The most lines of a request.
        var lines = 1000
        /// The most bytes of a batch with more than one line, and of an event that is made into one: less than a hub
        /// takes by default.
        var bytes = Self.defaultBytes

        static let defaultBytes = 512 * 1024
    }

    private let input: Input
    private let limits: Limits
    private var splitter: LineSplitter
    private var ready: [LineBatch.Line] = []
    private var readyBytes = 0
    private var isFinished = false
    private var failure: ClientError?

    init(_ input: Input, limits: Limits = Limits()) {
        self.input = input
        self.limits = limits
        splitter = LineSplitter(maximumLineBytes: limits.lineBytes)
    }

    var isEmpty: Bool { ready.isEmpty }

    /// Whether more of the input can be used now.
    var takesMore: Bool { !isFinished && failure == nil && ready.count < limits.lines && readyBytes < limits.bytes }

    /// Takes the next bytes of the input, or learns with none that it has ended.
    mutating func append(_ bytes: [UInt8]) throws {
        if bytes.isEmpty {
            isFinished = true
            splitter.finish()
        }
        splitter.append(bytes)
        do {
            while let line = try splitter.next() { try append(line) }
        } catch let error as ClientError {
            // What comes before is good.
            failure = error
        }
    }

    /// The next batch of what is there; `nil` if there is nothing.
    ///
    /// - Throws: ``ClientError`` for a line that cannot be sent, once those before it are taken.
    mutating func next() throws(ClientError) -> LineBatch? {
        guard !ready.isEmpty else {
            if let failure { throw failure }
            return nil
        }
        var bytes = 0
        let count = ready.prefix(limits.lines).prefix { line in
            guard case .json = line.event else { return false }
            bytes += line.event.byteCount + 1
            return bytes <= limits.bytes
        }.count
        let lines = Array(ready.prefix(max(count, 1)))
        ready.removeFirst(lines.count)
        readyBytes -= lines.reduce(0) { $0 + $1.event.byteCount + 1 }
        return LineBatch(lines: lines)
    }

    private mutating func append(_ line: LineSplitter.Line) throws {
        let event: LineEvent
        switch input {
        case .data(let template): event = try template.event(data: line.text, maximumJSONBytes: limits.bytes)
        case .events:
            guard line.text.utf8.contains(where: { !$0.isBlank && $0 != 0x0D }) else { return }
            event = .json(Array(line.text.utf8))
        }
        ready.append(LineBatch.Line(number: line.number, event: event))
        readyBytes += event.byteCount + 1
    }
}
