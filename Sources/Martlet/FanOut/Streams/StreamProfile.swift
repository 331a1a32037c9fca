// SPDX-License-Identifier: Apache-2.0

/// What a stream has besides the events of the application.
public enum StreamProfile: UInt8, CaseIterable, Hashable, Sendable {
    /// Ids without events, as heartbeats and at the beginning and the end; `gap` events and `end` events.
    case standard
    /// Nothing but the events of the application, comments and `retry:`. It is for readers that take every block for an
    /// event. A client that comes back before it has received an event with an id begins again.
    case plain
    /// The standard, but its heartbeats are events of the type ``heartbeatType``, which scripts of a page can see.
    case heartbeatEvents

    /// The type of heartbeats that are events. Publishers may use it, too.
    public static let heartbeatType = "heartbeat"
}

extension StreamProfile {
    /// Whether a stream has blocks that tell of the hub and not of the application.
    var hasControls: Bool { self != .plain }

    /// Shows a client that is caught up that its stream is alive.
    func heartbeat(at position: Position) -> WireBytes {
        switch self {
        case .standard: .id(position)
        case .plain: .comment
        case .heartbeatEvents: .heartbeat(at: position)
        }
    }

    /// Shows a client that is not caught up that its stream is alive.
    var heartbeat: WireBytes { self == .heartbeatEvents ? .heartbeat(at: nil) : .comment }
}
