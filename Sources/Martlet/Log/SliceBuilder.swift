// SPDX-License-Identifier: Apache-2.0

/// Fills a ``Slice`` with the events that a reader selects, up to a ``SliceLimit``. For implementations of ``Log``.
public struct SliceBuilder: Sendable {
    /// The slice so far. The log itself sets its gap, and its end if that is not the one from ``init(_:limit:end:)``.
    public var slice: Slice
    private let selection: Selection?
    private let limit: SliceLimit
    private var byteCount = 0

    /// - Parameters:
    ///   - selection: The events to take; `nil` for all.
    ///   - end: The end of the slice if the log reads everything up to there.
    public init(_ selection: Selection? = nil, limit: SliceLimit, end: Position) {
        self.selection = selection
        self.limit = limit
        slice = Slice(records: [], end: end, isComplete: true)
    }

    /// Appends the event unless it is not selected.
    ///
    /// - Parameter byteCount: ``Event/byteCount`` if the log has it at hand.
    /// - Returns: `false` if the slice has no room for the event. It then has to stop in front of the event.
    public mutating func append(
        _ event: Event, byteCount: Int? = nil, at position: @autoclosure () -> Position
    ) -> Bool {
        guard selection?.contains(event) ?? true else { return true }
        let size = byteCount ?? event.byteCount
        guard limit.admits(size, behind: slice.records.count, of: self.byteCount) else { return false }
        self.byteCount += size
        slice.records.append(Record(position: position(), event: event))
        return true
    }

    /// Ends the slice at a position, with more to read behind it.
    public mutating func stop(at position: Position) {
        slice.end = position
        slice.isComplete = false
    }
}
