// SPDX-License-Identifier: Apache-2.0

import NIOCore

/// How much a client may send on a connection, and how long it may take.
struct ConnectionBounds: Sendable {
    /// The longest target of a request. A thousand topics of 120 bytes fit.
    static let targetBytes = 128 * 1024
    /// The most bytes of the names and values of all header fields of a request.
    static let fieldBytes = 64 * 1024
    static let fieldCount = 256
    /// A client must send or take this much, or all that is left, within each timeout.
    static let stretchBytes = 64 * 1024
    /// How long an ended connection waits for its client to close its side, so that the last answer is not lost in a reset.
    /// What is left of the body of an answered request must come in that time, too.
    static let lingering = TimeAmount.seconds(1)
    /// The most that an ended connection reads and drops in that time.
    static let lingeringBytes = 8 * 1024 * 1024
    /// The timeout of both directions once the server shuts down.
    static let lastTimeout = TimeAmount.seconds(1)

    /// How long a connection waits for a request, and a request for the next stretch of its body.
    var idleTimeout: TimeAmount
    /// How long the server waits for the client to take the next stretch of an answer.
    var writeTimeout: TimeAmount
}
