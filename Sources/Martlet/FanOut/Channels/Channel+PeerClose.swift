// SPDX-License-Identifier: Apache-2.0

import NIOCore

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#elseif canImport(Darwin)
import Darwin
#endif

extension Channel {
    /// Closes the channel as soon as the peer closes its side, even where it closes only its sending side, and even
    /// where it has done so already. Called on the event loop.
    ///
    /// An HTTP server lets a client close its sending side and still answers; a stream without a reader would stay for
    /// ever. Does nothing for channels without a socket of their own, which close in their own way.
    func closeOnPeerClose() {
        let hasClosed = try? pipeline.syncOperations.withUnsafeTransportIfAvailable(of: NIOBSDSocket.Handle.self) {
            // Other channels may not know the option, and stop the program.
            try? syncOptions?.setOption(.allowRemoteHalfClosure, value: false)
            return Self.hasPeerClosed($0)
        }
        if hasClosed == true { close(promise: nil) }
    }

    /// The descriptor is open for as long as the channel is, and the calls only look at it.
    private static func hasPeerClosed(_ descriptor: NIOBSDSocket.Handle) -> Bool {
        #if os(Linux)
        // POLLRDHUP of Linux, which the C library shows only where _GNU_SOURCE is set.
        let peerClosed: Int16 = 0x2000
        var query = pollfd(fd: descriptor, events: peerClosed, revents: 0)
        return poll(&query, 1, 0) == 1
        #else
        var byte: UInt8 = 0
        return recv(descriptor, &byte, 1, MSG_PEEK | MSG_DONTWAIT) == 0
        #endif
    }
}
