// SPDX-License-Identifier: Apache-2.0

import EventStream
import MartletTesting
import NIOCore
import NIOEmbedded
import TestSupport

@testable import Martlet

/// A client of one stream through ``ChannelSink``, on a channel whose writability and time the test decides on.
final class SinkClient {
    /// Where an HTTP encoder would stand.
    private final class Encoder: ChannelInboundHandler {
        typealias InboundIn = ByteBuffer
    }

    /// The bytes of a channel that wait for its socket: at so many it is not writable, until the test says that it is.
    private final class Watermark: ChannelDuplexHandler {
        typealias InboundIn = ByteBuffer
        typealias OutboundIn = ByteBuffer

        private let most: Int
        private var count = 0

        init(_ most: Int) { self.most = most }

        func write(context: ChannelHandlerContext, data: NIOAny, promise: EventLoopPromise<Void>?) {
            count += unwrapOutboundIn(data).readableBytes
            context.write(data, promise: promise)
            guard count >= most, let channel = context.channel as? NIOAsyncTestingChannel, channel.isWritable else {
                return
            }
            channel.isWritable = false
            context.fireChannelWritabilityChanged()
        }

        func channelWritabilityChanged(context: ChannelHandlerContext) {
            if context.channel.isWritable { count = 0 }
            context.fireChannelWritabilityChanged()
        }
    }

    let channel: NIOAsyncTestingChannel
    private let watermark: Int?
    /// Everything that was written.
    private(set) var text = ""
    /// The events that a client has read from it.
    private(set) var events: [ServerSentEvent] = []
    private var parser = EventStreamParser()

    var lastEventID: String { parser.lastEventID }

    /// - Parameter watermark: How many bytes the channel takes until it is not writable; `nil`: the test says all.
    init(
        _ subscription: Subscription, framing: Framing = .plain, watermark: Int? = nil,
        loop: NIOAsyncTestingEventLoop = NIOAsyncTestingEventLoop()
    ) async throws {
        self.watermark = watermark
        channel = NIOAsyncTestingChannel(loop: loop)
        parser = EventStreamParser(lastEventID: subscription.position.text)
        let channel = channel
        try await channel.connect(to: SocketAddress(ipAddress: "127.0.0.1", port: 1)).get()
        try await loop.executeInContext {
            let encoder = Encoder()
            if let watermark { try channel.pipeline.syncOperations.addHandler(Watermark(watermark)) }
            try channel.pipeline.syncOperations.addHandler(encoder)
            _ = try subscription.stream(to: channel, before: encoder, framing: framing)
        }
    }

    /// - Parameter id: What the client resumes after.
    convenience init(
        _ hub: Hub, _ selection: Selection, after id: String? = nil, framing: Framing = .plain, watermark: Int? = nil,
        loop: NIOAsyncTestingEventLoop = NIOAsyncTestingEventLoop()
    ) async throws {
        try await self.init(
            try await hub.subscribe(to: selection, after: id), framing: framing, watermark: watermark, loop: loop)
    }

    var loop: NIOAsyncTestingEventLoop { channel.testingEventLoop }

    func setWritable(_ isWritable: Bool) async throws {
        let channel = channel
        try await loop.executeInContext {
            channel.isWritable = isWritable
            channel.pipeline.fireChannelWritabilityChanged()
        }
    }

    func close() async throws { try await channel.close() }

    /// Takes what was written.
    func read() async throws {
        while let bytes = try await channel.readOutbound(as: ByteBuffer.self) {
            text += String(buffer: bytes)
            for case .event(let event) in try parser.parse(bytes.readableBytesView) { events.append(event) }
        }
    }

    /// Reads until a condition holds. A channel with a watermark is made writable again and again.
    func read(until condition: (SinkClient) -> Bool) async throws {
        let end = ContinuousClock.now + TestConnection.patience
        try await read()
        while !condition(self) {
            guard ContinuousClock.now < end else { throw TestEvents.Overdue() }
            // Passes are a little apart, so that the loop does other things between them.
            await loop.advanceTime(by: .microseconds(50))
            if watermark != nil { try await setWritable(true) }
            try await Task.step()
            try await read()
        }
    }
}
