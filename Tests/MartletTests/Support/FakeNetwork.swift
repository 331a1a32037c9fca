// SPDX-License-Identifier: Apache-2.0

import TestSupport

@testable import Martlet

/// Sockets that take as much as chance allows, or nothing, or break.
final class FakeNetwork {
    struct Socket {
        /// What the client has received.
        var received: [UInt8] = []
        var isBlocked = false
        var isBroken = false
        var isFinished = false
        var isClosed = false
    }

    private(set) var sockets: [Int32: Socket] = [:]
    /// Which sockets were sent something, in this order.
    private(set) var sends: [Int32] = []
    /// Whether sockets take everything from now on.
    var isKind = false
    /// Sockets that take nothing.
    var full: Set<Int32> = []
    private var random: SeededGenerator

    init(seed: UInt64) { random = SeededGenerator(seed: seed) }

    func open() -> Int32 {
        let socket = Int32(sockets.count)
        sockets[socket] = Socket()
        return socket
    }

    func breakConnection(of socket: Int32) { sockets[socket]?.isBroken = true }

    /// Whether the socket was full and takes bytes again.
    func unblock(_ socket: Int32) -> Bool {
        defer { sockets[socket]?.isBlocked = false }
        return sockets[socket]?.isBlocked == true
    }

    func takeReceived(of socket: Int32) -> [UInt8] {
        defer { sockets[socket]?.received = [] }
        return sockets[socket]?.received ?? []
    }

    /// Forgets which sockets were sent something, and returns them.
    func takeSends() -> [Int32] {
        defer { sends = [] }
        return sends
    }

    fileprivate func send(_ bytes: UnsafeRawBufferPointer, to socket: Int32) -> SendResult {
        guard let state = sockets[socket], !state.isBroken, !state.isClosed, !state.isFinished else { return .broken }
        precondition(!state.isBlocked, "A full socket is left alone until it says that it takes bytes.")
        let count =
            full.contains(socket)
            ? 0
            : isKind || Int.random(in: 0..<3, using: &random) > 0
                ? bytes.count : Int.random(in: 0...bytes.count, using: &random)
        sends.append(socket)
        sockets[socket]?.received += bytes.prefix(count)
        sockets[socket]?.isBlocked = count < bytes.count
        return .sent(count)
    }

    fileprivate func finish(_ socket: Int32) { sockets[socket]?.isFinished = true }

    fileprivate func close(_ socket: Int32) {
        precondition(sockets[socket]?.isClosed == false, "A socket is closed once.")
        sockets[socket]?.isClosed = true
    }
}

struct FakeTransport: Transport {
    static let hasOwnSockets = true

    let network: FakeNetwork

    func send(_ bytes: UnsafeRawBufferPointer, to socket: Int32) -> SendResult { network.send(bytes, to: socket) }
    func discardInput(of socket: Int32) -> Bool { network.sockets[socket]?.isBroken == false }

    func watchWriting(_ socket: Int32, _ token: SinkToken) {}
    func finish(_ socket: Int32) { network.finish(socket) }
    func close(_ socket: Int32) { network.close(socket) }
}
