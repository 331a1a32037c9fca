// SPDX-License-Identifier: Apache-2.0

/// Under what terms somebody gets a stream.
package struct LeaseTerms: Sendable {
    /// Whose stream it is; `nil`: nobody's in particular, so that it can neither be revoked nor renewed.
    package var principal: String?
    /// How the principal calls the stream, to renew it; several may have the same name.
    package var name: String?
    /// When the stream ends; `nil`: when it likes.
    package var end: ContinuousClock.Instant?
    /// When it was asked for: it is revoked with what was revoked since then.
    package var judged: ContinuousClock.Instant
    /// Released when the stream has ended, or when it turns out that it will not be opened.
    package var companion: (any AnyObject & Sendable)?

    package init(
        principal: String? = nil, name: String? = nil, end: ContinuousClock.Instant? = nil,
        judged: ContinuousClock.Instant = .now, companion: (any AnyObject & Sendable)? = nil
    ) {
        self.principal = principal
        self.name = name
        self.end = end
        self.judged = judged
        self.companion = companion
    }

    /// Whether they say nothing.
    var isEmpty: Bool { principal == nil && end == nil && companion == nil }
}
