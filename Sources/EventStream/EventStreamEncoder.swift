// SPDX-License-Identifier: Apache-2.0

/// Writes events in the format of WHATWG HTML, section 9.2.5 "Parsing an event stream".
public enum EventStreamEncoder {
    /// Appends `event` to `buffer` as one whole block.
    ///
    /// The lines come in the order comment, `event`, `retry`, `id`, `data`, and a blank line ends the block. A line is
    /// `field: value` and LF, with one space after the colon, or `field:` when the value is empty. Comment lines have
    /// the same shape without a field name. Data and comments are split into lines at CR, LF and CRLF; an empty text is
    /// one empty line. An event without any field is the blank line alone, which does nothing in a client.
    ///
    /// There is no limit on sizes here: the block is the UTF-8 of the fields and at most eight bytes more for each line.
    ///
    /// - Throws: ``EventStreamError`` with the code ``EventStreamError/Code/invalidCharacter`` when the event type or
    ///   the id holds a NUL, CR or LF, and ``EventStreamError/Code/invalidRetry`` when `retry` is negative. The buffer
    ///   is then as it was.
    @inlinable
    public static func encode(
        _ event: ServerSentEvent,
        into buffer: inout some RangeReplaceableCollection<UInt8>
    ) throws(EventStreamError) {
        try validate(event)
        appendLines(of: event.comment, prefix: ":", to: &buffer)
        appendLines(of: event.event, prefix: "event:", to: &buffer)
        appendLines(of: event.retry.map(String.init), prefix: "retry:", to: &buffer)
        appendLines(of: event.id, prefix: "id:", to: &buffer)
        appendLines(of: event.data, prefix: "data:", to: &buffer)
        buffer.append(.lineFeed)
    }

    @usableFromInline
    static func validate(_ event: ServerSentEvent) throws(EventStreamError) {
        if let name = event.event, !isOneLine(name) { throw .invalidCharacter(field: "event") }
        if let id = event.id, !isOneLine(id) { throw .invalidCharacter(field: "id") }
        if let retry = event.retry, retry < 0 { throw .invalidRetry }
    }

    private static func isOneLine(_ text: String) -> Bool {
        !text.utf8.contains { $0.endsLine || $0 == .null }
    }

    @inlinable
    static func appendLines(
        of text: String?,
        prefix: StaticString,
        to buffer: inout some RangeReplaceableCollection<UInt8>
    ) {
        guard var text else { return }
        // The pointer lives as long as the closure, and everything cut from it is copied into the buffer.
        text.withUTF8 { bytes in
            var start = bytes.startIndex
            while true {
                let end = bytes[start...].firstIndex { $0.endsLine } ?? bytes.endIndex
                prefix.withUTF8Buffer { buffer.append(contentsOf: $0) }
                if start < end {
                    buffer.append(.space)
                    buffer.append(contentsOf: bytes[start..<end])
                }
                buffer.append(.lineFeed)
                guard end < bytes.endIndex else { return }
                start = end + 1
                if bytes[end] == .carriageReturn, start < bytes.endIndex, bytes[start] == .lineFeed { start += 1 }
            }
        }
    }
}

extension ServerSentEvent {
    /// The event as one whole block; see ``EventStreamEncoder/encode(_:into:)`` for its form and the errors.
    public func encoded() throws(EventStreamError) -> [UInt8] {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(64 + (id?.utf8.count ?? 0) + (event?.utf8.count ?? 0) + (data?.utf8.count ?? 0))
        try EventStreamEncoder.encode(self, into: &bytes)
        return bytes
    }
}
