// SPDX-License-Identifier: Apache-2.0

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#else
import Darwin
#endif

/// Finds the events of an event stream, and their marks, in pieces of any size.
///
/// An event is one that a browser would dispatch: lines that a blank line ends, at least one of them `data`. Lines end with
/// LF, CR or CRLF. The scanner reads only the first line of data, keeps no line, and does not skip a byte order mark.
struct EventScanner: Equatable, Sendable {
    private enum State: UInt8 {
        /// In the name of a field, after `matched` bytes of "data".
        case name
        /// After the colon of a data field, where one space is skipped.
        case colon
        case mark
        /// In the irrelevant rest of a line.
        case rest
    }

    private var state = State.name
    private var matched: UInt8 = 0
    private var hasData = false
    private var skipsLineFeed = false
    private var mark = MarkScanner()

    /// Takes bytes from `position` on, up to and including the end of an event.
    ///
    /// - Returns: The mark of the event; `nil` if all bytes before `end` were taken and no event has ended.
    mutating func next(
        in bytes: Span<UInt8>,
        from position: inout Int,
        to end: Int
    ) -> MarkScanner.Mark? {
        while position < end {
            if state == .rest {
                position = bytes.endOfLine(from: position, to: end)
                if position == end { break }
            }
            let byte = bytes[position]
            position += 1
            let endsLine = byte == .lineFeed || byte == .carriageReturn
            if skipsLineFeed {
                skipsLineFeed = false
                if byte == .lineFeed { continue }
            }
            if endsLine {
                skipsLineFeed = byte == .carriageReturn
                if let mark = endLine() { return mark }
            } else {
                scan(byte)
            }
        }
        return nil
    }

    private mutating func scan(_ byte: UInt8) {
        switch state {
        case .name:
            if let expected = Self.nameByte(matched) {
                matched += 1
                if byte != expected { state = .rest }
            } else if byte == UInt8(ascii: ":") {
                state = hasData ? .rest : .colon
                hasData = true
            } else {
                state = .rest
            }
        case .colon:
            state = .mark
            if byte != UInt8(ascii: " ") { scan(byte) }
        case .mark:
            mark.scan(byte)
            if mark.isDone { state = .rest }
        case .rest:
            break
        }
    }

    /// - Returns: The mark of the event that the line ends, if it ends one.
    private mutating func endLine() -> MarkScanner.Mark? {
        defer {
            state = .name
            matched = 0
        }
        guard state == .name else { return nil }
        switch matched {
        case 0:
            defer {
                hasData = false
                mark = MarkScanner()
            }
            return hasData ? mark.mark : nil
        case 4:
            hasData = true
        default:
            break
        }
        return nil
    }

    /// The byte of "data" at an index; `nil` at its end.
    private static func nameByte(_ index: UInt8) -> UInt8? {
        switch index {
        case 0: UInt8(ascii: "d")
        case 1, 3: UInt8(ascii: "a")
        case 2: UInt8(ascii: "t")
        default: nil
        }
    }
}

extension UInt8 {
    fileprivate static var lineFeed: UInt8 { 0x0A }
    fileprivate static var carriageReturn: UInt8 { 0x0D }
}

extension Span<UInt8> {
    /// The index of the first CR or LF in `start..<end`; `end` if there is none.
    fileprivate func endOfLine(from start: Int, to end: Int) -> Int {
        let lineFeed = firstIndex(of: .lineFeed, from: start, to: end)
        return firstIndex(of: .carriageReturn, from: start, to: lineFeed)
    }

    private func firstIndex(of byte: UInt8, from start: Int, to end: Int) -> Int {
        // `extracting` checks the bounds, `memchr` stays within the part, and the pointer does not outlive the closure.
        extracting(start..<end).withUnsafeBytes { part in
            guard let base = part.baseAddress, let found = memchr(base, Int32(byte), part.count) else { return end }
            return start + (UnsafeRawPointer(found) - base)
        }
    }
}
