// SPDX-License-Identifier: Apache-2.0

package import NIOCore

/// Knows the protocol that clients of a ``Door`` speak. The door itself knows only bytes and sockets.
///
/// Its methods may be called from several threads at the same time, and must not block.
package protocol DoorKeeper: AnyObject, Sendable {
    /// How long a connection may stay open without a request.
    var idleTimeout: TimeAmount { get }

    /// How long a client may take to take its answers.
    var writeTimeout: TimeAmount { get }

    /// Counts a new connection until ``leave(_:)``, unless the decision is to close it at once.
    func enter(from address: SocketAddress?) -> (ConnectionAdmission, ConnectionPeer)

    /// Counts a connection no more: it has ended, or its stream counts instead.
    func leave(_ admission: ConnectionAdmission)

    /// Reads the first request of some bytes. Answers of the requests before it have been given.
    func read(_ bytes: UnsafeRawBufferPointer, from peer: ConnectionPeer) -> DoorReading

    /// Gives a connection to the server, with the bytes that were read and not answered. The keeper closes it.
    func give(_ socket: Int32, _ bytes: [UInt8], _ admission: ConnectionAdmission, _ peer: ConnectionPeer)

    /// No connection can be accepted for a while, because descriptors or memory are short.
    func cannotAccept(_ errno: Int32)

    /// Ends the connections that were given to the server, and returns when there are none, or after a while.
    func close() async
}

/// The decision about a new connection.
package enum ConnectionAdmission: Sendable {
    case admitted
    /// There are too many: its first request is refused.
    case refused
    /// There are far too many: it is closed at once, and not counted.
    case closed
}

/// The other end of a connection.
package struct ConnectionPeer: Sendable {
    /// `nil`: it is not known.
    package var address: SocketAddress?
    /// The place of the connection among those of its address.
    package var place: ClientPlace?
    /// The limit of its address that the connection is above.
    package var refusal: ClientRefusal?
    /// Whether the connection has to begin with a header of the proxy that names the address.
    package var isHeaderDue = false

    package init(address: SocketAddress? = nil) { self.address = address }
}

/// What the bytes at the beginning of a connection are.
package enum DoorReading {
    /// The beginning of a request that may be one for the door.
    case incomplete
    /// Anything that the server has to see: the door answers only what it can answer as the server would.
    case other
    /// A request in the first bytes, so many of them.
    case request(any DoorRequest, length: Int)
    /// A header that names the other end, in so many bytes, and the decision about the connection from there.
    case header(ConnectionPeer, ConnectionAdmission, length: Int)
}

/// A request that a door answers. An error of either method, before anything was changed, has the server answer it.
package protocol DoorRequest: Sendable {
    /// `nil`: the answer has to wait for something.
    func answerNow() throws -> DoorAnswer?

    func answer() async throws -> DoorAnswer
}

package enum DoorAnswer: Sendable {
    /// A whole answer; the connection goes on.
    case bytes([UInt8])
    /// A whole answer to a client that is above a limit of its own. The connection goes on after a pause, so that asking
    /// again and again costs the client its time and not the others theirs.
    case refusal([UInt8])
    /// A whole answer, behind which the connection is closed.
    case last([UInt8])
    /// The head of a stream and its first blocks. The connection belongs to the stream from here on.
    case stream(Subscription, opening: [UInt8], framing: Framing)
}
