// SPDX-License-Identifier: Apache-2.0

/// One subscriber: its connection, where it is in the stream, and what it has received of the run's events.
struct Subscriber: Sendable {
    enum State: Equatable, Sendable {
        case unconnected
        case connecting
        /// The request is sent.
        case asking
        /// Receives events.
        case open
        /// Never got to be open.
        case failed
        /// The server has ended the stream.
        case closed
    }

    var state = State.unconnected
    var socket: StreamSocket?
    var scanner = SubscriberScanner()
    var ledger = SequenceLedger()
}
