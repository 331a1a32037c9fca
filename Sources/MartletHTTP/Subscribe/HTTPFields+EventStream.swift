// SPDX-License-Identifier: Apache-2.0

package import HTTPTypes
package import HummingbirdCore
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
        .xContentTypeOptions: "nosniff",
    ]

    /// The head of the stream that answers a request. No cache may keep a stream that is for one client alone.
    ///
    /// - Parameter grant: What the client may do.
    static func eventStream(to request: Request, _ grant: Grant = Grant(seesAllPublic: true)) -> HTTPFields {
        var fields = eventStream
        if grant.isPersonal || request.hasCredentials {
            fields[.cacheControl] = "private, no-cache, no-store, no-transform"
        }
        return fields
    }

    /// The head of a stream that goes on from somewhere.
    package static func eventStream(
        _ subscription: Subscription, to request: Request, _ grant: Grant
    ) -> HTTPFields {
        var fields = eventStream(to: request, grant)
        fields[.lastEventID] = subscription.position.text
        if let gap = subscription.gap { fields[.gap] = gap.reason.rawValue }
        return fields
    }
}

extension Grant {
    /// Whether it differs from the grant of a client without credentials.
    fileprivate var isPersonal: Bool {
        principal != nil || end != nil || payload != nil || limitedTo != nil || !subscribe.isEmpty || !seesAllPublic
    }
}

extension Request {
    /// Whether it may carry credentials. (A ticket shows in the grant.)
    fileprivate var hasCredentials: Bool {
        if headers.contains(.authorization) || headers.contains(.cookie) { return true }
        return (try? RequestTarget(self).query.values("authorization").isEmpty) == false
    }
}
