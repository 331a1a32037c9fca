// SPDX-License-Identifier: Apache-2.0

/// Reads an event stream chunk by chunk, as in WHATWG HTML, sections 9.2.5 "Parsing an event stream" and 9.2.6
/// "Interpreting an event stream".
///
/// How the stream is cut into chunks has no influence on what is read. A value reads one stream: after a reconnect,
/// start a new one with the ``lastSendableEventID`` of the old. There is nothing to call at the end of the stream; the
/// standard discards a block that its blank line does not end, and so does dropping the parser.
///
/// Memory is bounded by ``Limits`` for any input: the parser holds at most one line, one event and two ids.
public struct EventStreamParser: Sendable {
    /// A part of the stream, in its order.
    public enum Element: Sendable, Hashable {
        /// An event to dispatch. `data` is never `nil`, with LF between its lines; `event` is `nil` for the default
        /// type `message`; `id` is ``EventStreamParser/lastEventID``, or `nil` when that is empty. `retry` and
        /// `comment` are `nil`, since they are elements of their own.
        case event(ServerSentEvent)

        /// A new reconnection time, given where its line ends and so before the event of the same block. A value that
        /// is not all ASCII digits is ignored; one above ``EventStreamParser/maximumRetryMilliseconds`` is that.
        case retry(milliseconds: Int)

        /// One comment line without its colon and one space after that, given where the line ends.
        case comment(String)
    }

    /// The longest reconnection time that is read from a stream, over 24 days: what fits 32 bits with a sign. A server
    /// may write any run of digits, and no program can wait for all of them.
    public static let maximumRetryMilliseconds = Int(Int32.max)

    /// The most that is accepted, in bytes as received.
    public struct Limits: Sendable, Hashable {
        /// The longest line: field name, colon and value, without the line end. A byte order mark is part of the first
        /// line.
        public var maximumLineBytes: Int

        /// The largest event: its type, its id and its data, with one byte for each line end inside the data.
        public var maximumEventBytes: Int

        /// The defaults are 1 MiB for a line and 16 MiB for an event.
        public init(maximumLineBytes: Int = 1024 * 1024, maximumEventBytes: Int = 16 * 1024 * 1024) {
            self.maximumLineBytes = maximumLineBytes
            self.maximumEventBytes = maximumEventBytes
        }
    }

    /// The id of the events from here on; `""` for none. The end of a block sets it, also of one without data; an id
    /// with a NUL is ignored.
    public private(set) var lastEventID: String

    /// The id to send as `Last-Event-ID` on a reconnect; `""` for none. It is ``lastEventID``, or the one before where
    /// HTTP does not let a header have it: with a control character in it but for a tab. What is not ASCII is sent as
    /// UTF-8.
    public private(set) var lastSendableEventID: String

    private let limits: Limits
    private let keepsID: Bool
    private var line: [UInt8] = []
    private var block = EventStreamBlock()
    private var isFirstLine = true
    private var lineEndedInCarriageReturn = false
    private var failure: EventStreamError?

    /// - Parameter lastEventID: The id that the stream was asked to resume from; the id of its events until it sets another.
    public init(limits: Limits = Limits(), lastEventID: String = "") {
        self.init(limits: limits, lastEventID: lastEventID, keepsID: true)
    }

    /// - Parameter keepsID: Whether an event without an id has that of the event before it, as the standard says. Otherwise it
    ///   has none.
    package init(limits: Limits, lastEventID: String = "", keepsID: Bool) {
        self.limits = limits
        self.keepsID = keepsID
        self.lastEventID = lastEventID
        lastSendableEventID = lastEventID
    }

    /// Whether what was read ends inside a line, or inside a block with an id, a type or data.
    package var isInsideBlock: Bool { !line.isEmpty || !block.isEmpty }

    /// Reads the next bytes of the stream and appends what they complete to `elements`.
    ///
    /// Invalid UTF-8 is not an error; it is read as U+FFFD, as in the UTF-8 decode of the standard.
    ///
    /// - Throws: ``EventStreamError`` with the code ``EventStreamError/Code/lineTooLong`` or
    ///   ``EventStreamError/Code/eventTooLarge``. The parts before the fault are in `elements`. The stream
    ///   cannot be resumed: every later call throws the same error and reads nothing.
    public mutating func parse(
        _ chunk: some Sequence<UInt8>,
        into elements: inout [Element]
    ) throws(EventStreamError) {
        // The pointers live as long as the closures, and everything cut from them is copied.
        let done: Void? = chunk.withContiguousStorageIfAvailable { read($0, into: &elements) }
        if done == nil {
            Array(chunk).withUnsafeBufferPointer { read($0, into: &elements) }
        }
        if let failure { throw failure }
    }

    /// Reads the next bytes of the stream and returns what they complete.
    ///
    /// When this throws, what the same chunk held before the fault is lost; use ``parse(_:into:)`` to keep it.
    public mutating func parse(_ chunk: some Sequence<UInt8>) throws(EventStreamError) -> [Element] {
        var elements: [Element] = []
        try parse(chunk, into: &elements)
        return elements
    }
}

extension EventStreamParser {
    private mutating func read(_ bytes: UnsafeBufferPointer<UInt8>, into elements: inout [Element]) {
        var start = bytes.startIndex
        while failure == nil, start < bytes.endIndex {
            if lineEndedInCarriageReturn {
                lineEndedInCarriageReturn = false
                if bytes[start] == .lineFeed {
                    start += 1
                    continue
                }
            }
            let end = bytes[start...].firstIndex { $0.endsLine } ?? bytes.endIndex
            guard line.count + (end - start) <= limits.maximumLineBytes else {
                failure = .lineTooLong(limit: limits.maximumLineBytes)
                return
            }
            line.append(contentsOf: bytes[start..<end])
            guard end < bytes.endIndex else { return }
            endLine(into: &elements)
            lineEndedInCarriageReturn = bytes[end] == .carriageReturn
            start = end + 1
        }
    }

    private mutating func endLine(into elements: inout [Element]) {
        if isFirstLine {
            isFirstLine = false
            if line.starts(with: "\u{FEFF}".utf8) { line.removeFirst(3) }
        }
        if line.isEmpty {
            endBlock(into: &elements)
        } else {
            interpret(line, into: &elements)
            line.removeAll(keepingCapacity: true)
        }
    }

    private mutating func interpret(_ line: [UInt8], into elements: inout [Element]) {
        let name = line.prefix { $0 != .colon }
        var value = line.dropFirst(name.count + 1)
        if value.first == .space { value = value.dropFirst() }

        if name.isEmpty {
            elements.append(.comment(String(decoding: value, as: UTF8.self)))
        } else if name.elementsEqual("retry".utf8) {
            guard !value.isEmpty, value.allSatisfy(\.isDigit) else { return }
            // More digits than fit an integer are more than the bound.
            let milliseconds = Int(String(decoding: value, as: UTF8.self)) ?? .max
            elements.append(.retry(milliseconds: min(milliseconds, Self.maximumRetryMilliseconds)))
        } else {
            block.set(name, to: value)
            if block.byteCount > limits.maximumEventBytes {
                failure = .eventTooLarge(limit: limits.maximumEventBytes)
            }
        }
    }

    private mutating func endBlock(into elements: inout [Element]) {
        if let id = block.id {
            lastEventID = String(decoding: id, as: UTF8.self)
            if id.allSatisfy(\.isFieldByte) { lastSendableEventID = lastEventID }
        } else if !keepsID {
            lastEventID = ""
        }
        if let event = block.dispatched(lastEventID: lastEventID) { elements.append(.event(event)) }
        block = EventStreamBlock()
    }
}
