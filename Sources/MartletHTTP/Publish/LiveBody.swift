// SPDX-License-Identifier: Apache-2.0

import EventStream
import HTTPTypes
import Martlet
import MartletSupport

/// Reads the events of a live upload as its body comes. How the body is cut has no influence on them.
///
/// Memory is bounded: it holds at most one line and one event.
struct LiveBody {
    /// What the body is made of.
    enum Format {
        /// An event stream (WHATWG HTML section 9.2.6).
        case eventStream
        /// Lines that are each the data of an event.
        case lines
        /// Lines that are each a JSON object, as in ``EventBatch``.
        case objects
    }

    private let limits: Limits
    /// The topic of all events; objects have their own.
    private let topic: Topic
    private let format: Format
    private var parser: EventStreamParser
    private var cutter: LineCutter
    /// The reconnection time of the next event, from lines in front of it.
    private var retry: Int?
    /// Why nothing more can be read. What was read before it is valid.
    private(set) var problem: Problem?

    /// - Parameter maximumObjectBytes: The longest line that is an object.
    init(_ format: Format, of topic: Topic, limits: Limits, maximumObjectBytes: Int) {
        self.limits = limits
        self.topic = topic
        self.format = format
        // The name of a field and its colon stand in front of each text.
        let line = max(limits.dataBytes, limits.idBytes, limits.typeBytes) + 16
        let event = limits.dataBytes + limits.idBytes + limits.typeBytes
        parser = EventStreamParser(limits: .init(maximumLineBytes: line, maximumEventBytes: event), keepsID: false)
        cutter = LineCutter(maximumBytes: format == .objects ? maximumObjectBytes : limits.dataBytes)
    }

    /// Reads the next bytes, and yields the thread after each slice of them.
    ///
    /// - Returns: the events that they complete. ``problem`` tells what is wrong behind these.
    mutating func read(_ bytes: some RandomAccessCollection<UInt8>) async -> [Event] {
        var events: [Event] = []
        var rest = bytes[...]
        while problem == nil, !rest.isEmpty {
            let slice = rest.prefix(CPUBoundWork.Pace.sliceBytes)
            rest = rest.dropFirst(slice.count)
            do { try await read(slice: Array(slice), into: &events) } catch { problem = Self.problem(error) }
            if !rest.isEmpty { await Task.yield() }
        }
        return events
    }

    /// Ends the body. The last line needs no line end; the last block of an event stream needs its blank line.
    mutating func finish() async -> [Event] {
        guard problem == nil else { return [] }
        var events: [Event] = []
        do {
            if format != .eventStream {
                if let line = try cutter.finish() { try await add(line, to: &events) }
            } else if parser.isInsideBlock {
                throw Problem(
                    .badRequest, "The body ends inside an event, which was not published. End it with a blank line.",
                    field: "data")
            }
        } catch {
            problem = Self.problem(error)
        }
        return events
    }

    private mutating func read(slice: [UInt8], into events: inout [Event]) async throws {
        guard format == .eventStream else {
            var start = slice.startIndex
            while let line = try cutter.next(of: slice, from: &start) { try await add(line, to: &events) }
            return
        }
        var elements: [EventStreamParser.Element] = []
        var failure: EventStreamError?
        do { try parser.parse(slice, into: &elements) } catch { failure = error }
        for element in elements { try add(element, to: &events) }
        if let limit = failure?.limit {
            throw Problem(.contentTooLarge, "A line or an event is over \(limit) bytes. Send less.", field: "data")
        }
    }

    private mutating func add(_ element: EventStreamParser.Element, to events: inout [Event]) throws {
        switch element {
        case .comment: break
        case .retry(let milliseconds): retry = milliseconds
        case .event(let block):
            let event = Event(topic: topic, data: block.data ?? "", id: block.id, type: block.event, retry: retry)
            retry = nil
            try limits.check(event)
            events.append(event)
        }
    }

    private func add(_ line: [UInt8], to events: inout [Event]) async throws {
        guard !line.allSatisfy({ $0.isBlank || $0 == 0x0D }) else { return }
        do {
            let event: Event
            if format == .objects {
                event = try await CPUBoundWork.run(through: line.count) { try EventBatch.event(line) }
            } else {
                guard let data = String(utf8: line) else {
                    throw Problem(.badRequest, "The line is not UTF-8. Send text, encoded as UTF-8.", field: "data")
                }
                event = Event(topic: topic, data: data)
            }
            try limits.check(event)
            events.append(event)
        } catch {
            var problem = Self.problem(error)
            problem.line = cutter.number
            throw problem
        }
    }

    private static func problem(_ error: any Error) -> Problem {
        error as? Problem ?? (error as? MartletError).map { Problem($0) } ?? .noJSON
    }
}

/// Cuts text into lines that end with LF or CRLF.
struct LineCutter {
    let maximumBytes: Int
    private var line: [UInt8] = []
    /// The number of the last line, from 1.
    private(set) var number = 0

    init(maximumBytes: Int) { self.maximumBytes = maximumBytes }

    /// The next line that the bytes complete, without its end. `nil`: there is none, and the rest is kept.
    ///
    /// - Parameter start: Where to begin; moved behind what was read.
    mutating func next(of bytes: [UInt8], from start: inout Int) throws(Problem) -> [UInt8]? {
        let end = bytes[start...].firstIndex(of: 0x0A)
        let part = bytes[start..<(end ?? bytes.endIndex)]
        // The CR of a line end is not part of the line.
        guard line.count + part.count <= maximumBytes + 1 else { throw tooLong }
        line += part
        start = end.map { $0 + 1 } ?? bytes.endIndex
        return end == nil ? nil : try take()
    }

    /// The last line, if no line end follows it.
    mutating func finish() throws(Problem) -> [UInt8]? { line.isEmpty ? nil : try take() }

    private mutating func take() throws(Problem) -> [UInt8] {
        if line.last == 0x0D { line.removeLast() }
        guard line.count <= maximumBytes else { throw tooLong }
        number += 1
        defer { line = [] }
        return line
    }

    private var tooLong: Problem {
        Problem(.contentTooLarge, "The line is over \(maximumBytes) bytes. Send less.", field: "data", line: number + 1)
    }
}
