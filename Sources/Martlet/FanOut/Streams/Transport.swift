// SPDX-License-Identifier: Apache-2.0

/// How a shard touches its sockets, or what stands for them: channels, and in tests a simulation.
protocol Transport {
    /// Whether the sockets were taken over from the server, whose limit of connections they count for no more.
    static var hasOwnSockets: Bool { get }

    /// Sends as much as the socket takes, without waiting.
    mutating func send(_ bytes: UnsafeRawBufferPointer, to socket: Int32) -> SendResult

    /// Reads and drops what the client has sent. Returns whether the client may go on: `false` at the end of what it
    /// sends, where the connection is broken, and where it sends without end.
    mutating func discardInput(of socket: Int32) -> Bool

    /// A socket has not taken everything. From now on it is said when it takes bytes again.
    mutating func watchWriting(_ socket: Int32, _ token: SinkToken)

    /// Says that nothing more will be sent (a FIN).
    mutating func finish(_ socket: Int32)

    mutating func close(_ socket: Int32)
}

enum SendResult: Hashable, Sendable {
    /// So many bytes; fewer than there were means that the socket is full.
    case sent(Int)
    /// The connection is gone.
    case broken
}
