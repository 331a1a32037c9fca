// SPDX-License-Identifier: Apache-2.0

package import HTTPTypes
package import Martlet

extension HTTPField.Name {
    package static let lastEventID = HTTPField.Name("Last-Event-ID")!
    /// Why the stream cannot give the client all that it missed; see ``Martlet/Gap``.
    static let gap = HTTPField.Name("Martlet-Gap")!
    /// Tells nginx, whatever its configuration, to pass on what it gets at once.
    static let accelBuffering = HTTPField.Name("X-Accel-Buffering")!
}

extension HTTPFields {
    /// The head of every event stream. A connection persists by itself, and HTTP/2 has no such field.
    package static let eventStream: HTTPFields = [
        .contentType: "text/event-stream",
        .cacheControl: "no-cache, no-transform",
        .accelBuffering: "no",
    ]

    /// The head of a stream that goes on from somewhere.
    package static func eventStream(_ subscription: Subscription) -> HTTPFields {
        var fields = eventStream
        fields[.lastEventID] = subscription.position.text
        if let gap = subscription.gap { fields[.gap] = gap.reason.rawValue }
        return fields
    }
}
