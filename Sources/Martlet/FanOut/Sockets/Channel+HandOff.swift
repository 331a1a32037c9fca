// SPDX-License-Identifier: Apache-2.0

#if os(Linux)
import Glibc
import NIOCore

extension Channel {
    /// A duplicate of the channel's socket, if what is written to the socket is what a client gets: everything that was
    /// written is out, and nothing between the handler and the socket changes bytes (as TLS does). Called on the event
    /// loop.
    ///
    /// The duplicate stays open when the channel is closed, and so does the connection.
    func duplicateSocket(behind handler: some ChannelHandler) -> Int32? {
        let duplicate = try? pipeline.syncOperations.withUnsafeTransportIfAvailable(of: NIOBSDSocket.Handle.self) {
            socket -> Int32 in
            // Channels without a socket may not know the option, and stop the program.
            guard let pending = try? syncOptions?.getOption(.bufferedWritableBytes), pending == 0,
                writesPassUnchanged(from: handler)
            else { return -1 }
            // The descriptor is open for as long as the channel is.
            return fcntl(socket, F_DUPFD_CLOEXEC, 0)
        }
        return duplicate.flatMap { $0 >= 0 ? $0 : nil }
    }

    /// Writes no bytes from the handler, and looks whether they come out at the other end of the pipeline as they are.
    private func writesPassUnchanged(from handler: some ChannelHandler) -> Bool {
        let probe = WriteProbe()
        guard (try? pipeline.syncOperations.addHandler(probe, position: .first)) != nil,
            let context = try? pipeline.syncOperations.context(handler: handler)
        else { return false }
        context.write(NIOAny(IOData.byteBuffer(ByteBuffer())), promise: nil)
        probe.isListening = false
        return probe.hasSeenWrite
    }
}

private final class WriteProbe: ChannelOutboundHandler {
    typealias OutboundIn = IOData

    var isListening = true
    var hasSeenWrite = false

    func write(context: ChannelHandlerContext, data: NIOAny, promise: EventLoopPromise<Void>?) {
        guard isListening else { return context.write(data, promise: promise) }
        hasSeenWrite = true
        promise?.succeed()
    }
}
#endif
