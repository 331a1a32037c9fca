// SPDX-License-Identifier: Apache-2.0

/// The fields that the lines since the last blank line have set: the buffers of WHATWG HTML, section 9.2.6.
///
/// The standard ends each data line with LF and strips the last one; here the LF stands between the lines, which is the
/// same data. The id is kept apart from the last event id until the block ends, as an unfinished block must not set it.
struct EventStreamBlock: Sendable {
    private var event: [UInt8] = []
    private var data: [UInt8]?
    private(set) var id: [UInt8]?

    /// Whether no line has set anything.
    var isEmpty: Bool { data == nil && id == nil && event.isEmpty }

    var byteCount: Int { event.count + (data?.count ?? 0) + (id?.count ?? 0) }

    /// Sets a field from one line; unknown names are ignored.
    mutating func set(_ name: ArraySlice<UInt8>, to value: ArraySlice<UInt8>) {
        if name.elementsEqual("data".utf8) {
            if data == nil {
                data = Array(value)
            } else {
                data?.append(.lineFeed)
                data?.append(contentsOf: value)
            }
        } else if name.elementsEqual("event".utf8) {
            event = Array(value)
        } else if name.elementsEqual("id".utf8), !value.contains(.null) {
            id = Array(value)
        }
    }

    /// The event to dispatch, or `nil` when the block has no data line.
    func dispatched(lastEventID: String) -> ServerSentEvent? {
        guard let data else { return nil }
        return ServerSentEvent(
            event: event.isEmpty ? nil : String(decoding: event, as: UTF8.self),
            data: String(decoding: data, as: UTF8.self),
            id: lastEventID.isEmpty ? nil : lastEventID
        )
    }
}
