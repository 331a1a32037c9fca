// SPDX-License-Identifier: Apache-2.0

import EventStream
import MartletTesting
import NIOCore
import NIOEmbedded
import TestSupport
import Testing

@testable import Martlet

@Suite struct ChannelSinkTests {
    private let news = Selection(topics: ["news"])

    @Test("Frames are written as chunks to HTTP/1.1 and as they are to HTTP/1.0")
    func framesAreWrittenAsChunks() async throws {
        try await withHub { [news] hub in
            let chunked = try await SinkClient(hub, news, framing: .chunked)
            let plain = try await SinkClient(hub, news)
            let id = try await hub.publish("hello", to: "news")
            let frame = "id: \(id)\ndata: hello\n\n"
            try await plain.read { $0.text == frame }
            try await chunked.read { $0.text == "\(String(frame.utf8.count, radix: 16))\r\n\(frame)\r\n" }
        }
    }

    @Test("While the channel is not writable nothing is written, and nothing is lost")
    func whileTheChannel() async throws {
        try await withHub { [news] hub in
            let client = try await SinkClient(hub, news)
            let other = try await SinkClient(hub, news, loop: client.loop)
            try await client.setWritable(false)
            for number in 0..<500 { try await hub.publish("\(number)", to: "news") }
            try await other.read { $0.events.count == 500 }
            try await client.read()
            #expect(client.events.isEmpty)
            try await client.setWritable(true)
            try await client.read { $0.events.count == 500 }
            #expect(client.events.map(\.data) == (0..<500).map { "\($0)" })
        }
    }

    @Test("A client that is behind the window reads history and joins the live stream again")
    func whoIsBehindTheWindow() async throws {
        try await withHub(windowBytes: 2000) { [news] hub in
            let client = try await SinkClient(hub, news)
            let other = try await SinkClient(hub, news, loop: client.loop)
            try await client.setWritable(false)
            for number in 0..<1000 { try await hub.publish("\(number)", to: "news") }
            try await other.read { $0.events.count == 1000 }
            try await client.setWritable(true)
            try await client.read { $0.events.count == 1000 }
            try await hub.publish("1000", to: "news")
            try await client.read { $0.events.count == 1001 }
            #expect(client.events.map(\.data) == (0...1000).map { "\($0)" })
            try await other.read { $0.events.count == 1001 }
        }
    }

    @Test("A client that is behind history receives a gap and continues with the oldest event")
    func whoIsBehindHistory() async throws {
        let log = MemoryLog(retention: Retention(events: 10))
        // The loop of the client runs only while it reads. The log keeps what the hub has not read.
        let base = HubConfiguration.with { $0.maximumShardLag = .max }
        try await withHub(log: log, windowBytes: 1, base: base) { [news] hub in
            let client = try await SinkClient(hub, news)
            try await client.setWritable(false)
            try await hub.publish(numbers: 0..<100, to: "news")
            try await client.setWritable(true)
            try await client.read { $0.events.count == 11 }
            #expect(client.events[0].event == "gap")
            #expect(client.events[1...].map(\.data) == (90..<100).map { "\($0)" })
        }
    }

    @Test("The heartbeat is the end of the log for who is caught up and a comment for who is not")
    func heartbeatIsTheEnd() async throws {
        try await withHub(heartbeat: .seconds(15)) { [news] hub in
            let client = try await SinkClient(hub, news)
            let id = try await hub.publish(numbers: 0..<1, to: "other")[0]
            await client.loop.advanceTime(by: .milliseconds(14_999))
            try await client.read()
            #expect(client.text.isEmpty)
            await client.loop.advanceTime(by: .milliseconds(1))
            try await client.read()
            #expect(client.text == "id: \(id)\n\n")
            // A position of a node that is further on: this one cannot place it yet.
            let epoch = try #require(id.split(separator: "-").first)
            let place = try Position("\(epoch)-9")
            let ahead = Subscription(
                fanOut: hub.fanOut, selection: news, feed: try hub.fanOut.open(news).0, start: .after(place),
                position: place)
            let early = try await SinkClient(ahead)
            await early.loop.advanceTime(by: .seconds(15))
            try await early.read()
            #expect(early.text == ":\n\n")
            for number in 2...12 { try await hub.publish("\(number)", to: "news") }
            try await early.read { $0.events.count == 3 }
            #expect(early.events.map(\.data) == ["10", "11", "12"])
        }
    }

    @Test("A stream that is ended says when to come back and closes its body and its side")
    func streamThatIsEndedSays() async throws {
        try await withHub(retry: .milliseconds(1500)) { [news] hub in
            let client = try await SinkClient(hub, news, framing: .chunked)
            hub.beginDrain()
            try await client.read { $0.text == "d\r\nretry: 1500\n\n\r\n0\r\n\r\n" }
            await client.loop.advanceTime(by: .seconds(2))
            try await client.channel.closeFuture.get()
            #expect(hub.streamCount == 0)
            #expect(hub.feedCount == 0)
        }
    }

    @Test("A client that takes nothing for the write timeout is disconnected, and not before")
    func clientThatTakesNothing() async throws {
        try await withHub { [news] hub in
            let client = try await SinkClient(hub, news)
            try await client.setWritable(false)
            await client.loop.advanceTime(by: .seconds(29))
            try await client.setWritable(true)
            try await client.setWritable(false)
            await client.loop.advanceTime(by: .seconds(29))
            #expect(hub.streamCount == 1)
            await client.loop.advanceTime(by: .seconds(2))
            try await client.channel.closeFuture.get()
            #expect(hub.streamCount == 0)
        }
    }

    @Test("A stream ends at eight to ten tenths of the greatest age")
    func streamEndsAtEight() async throws {
        try await withHub(base: .with { $0.maximumConnectionAge = .seconds(10) }) { [news] hub in
            let client = try await SinkClient(hub, news)
            await client.loop.advanceTime(by: .milliseconds(7999))
            try await client.read()
            #expect(client.text.isEmpty)
            await client.loop.advanceTime(by: .milliseconds(2001))
            try await client.read { $0.text.hasPrefix("retry: ") }
        }
    }

    @Test("A closed channel releases its subscription at once")
    func closedChannelReleasesItsSubscription() async throws {
        try await withHub { [news] hub in
            let client = try await SinkClient(hub, news)
            #expect(hub.streamCount == 1)
            try await client.close()
            #expect(hub.streamCount == 0)
            #expect(hub.feedCount == 0)
        }
    }

    @Test("Bytes that a client sends behind its request are dropped")
    func whatAClientSendsBehind() async throws {
        try await withHub { [news] hub in
            let client = try await SinkClient(hub, news)
            try await client.channel.writeInbound(ByteBuffer(string: "POST /events/news HTTP/1.1\r\n\r\n"))
            #expect(try await client.channel.readInbound(as: ByteBuffer.self) == nil)
        }
    }
}
