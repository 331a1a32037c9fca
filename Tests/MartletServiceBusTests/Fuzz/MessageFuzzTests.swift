// SPDX-License-Identifier: Apache-2.0

#if ServiceBus
import Martlet
import TestSupport
import Testing

@testable import MartletServiceBus

@Suite struct MessageFuzzTests {
    private let format = MessageFormat(encoding: .utf8, topicName: "t", limits: Limits())
    private let name = NumberedName(publisher: PublisherID(bits: 7), number: 1)

    @Test("A message is read or skipped, and what is read is written and read again the same")
    func messages() async throws {
        var corpus: [[UInt8]] = []
        for events in [
            [Event(topic: "a", data: "1\n2", id: "7", type: "t")],
            [Event(topic: "a", data: "x"), Event(topic: "\u{E9}", alternates: ["b"], data: "")],
        ] { corpus.append(try #require(format.write(events, once: "key", as: name).encoded())) }
        var foreign = AMQPMessage(.value(.map([(.string("a"), .list([.integer(1), .real(0.5), .null]))])))
        foreign.id = "m-1"
        foreign.subject = "s"
        foreign.correlationID = "c"
        foreign.properties = [("martlet-topic", .symbol("a")), ("n", .unsigned(7)), ("t", .timestamp(1))]
        corpus.append(try #require(foreign.encoded()))
        foreign.body = .sequence([.list([.list([.bool(true)])]), .binary([0, 255])])
        corpus.append(try #require(foreign.encoded()))

        var input = FuzzInput(pieces: [
            "\0", "S", "S\u{11}", "\u{45}", "\u{40}", "@@", "martlet-topic", "martlet-kind", "events", "A", "p",
            "\u{1}", "\u{7F}", "q\0\0\0\u{1}",
        ])
        while await input.next(from: corpus) {
            guard let message = AMQPMessage(decoding: input.bytes) else { continue }
            guard let content = format.read(message) else { continue }
            let written = format.write(content.events, once: content.key, as: name)
            guard let bytes = written.encoded(), let again = AMQPMessage(decoding: bytes), let read = format.read(again)
            else {
                input.fail("what was read cannot be written")
                continue
            }
            if read.events != content.events || read.key != content.key { input.fail("another event is read again") }
        }
    }

    @Test("Places and names have one spelling")
    func places() async {
        let corpus = ["0000007-1", "0000007-12.3_0000008-9.1", "m0000000000007", "00000000-5", "0000007-0"]
        var input = FuzzInput(pieces: ["0", "7", "z", "-", ".", "_", "m", "0000007-1", "_0000008-2", "\u{E9}"])
        while await input.next(from: corpus) {
            guard let place = BusPlace(input.text) else { continue }
            if !place.position.text.utf8.elementsEqual(input.bytes) { input.fail("it is \(place.position.text)") }
        }
    }

    @Test("What a node keeps with a message is read again, or is not taken for it")
    func stored() async {
        let stored = StoredMessage(name: .numbered(name), sequence: 3, mark: nil, key: "k\nk")
        var input = FuzzInput(pieces: [" ", "\n", "-", "m", "0", "7", "0000007-1", "\u{E9}"])
        while await input.next(from: [stored.text(at: 1), "5 m9 - 7"]) {
            guard let read = StoredMessage(input.text) else { continue }
            if StoredMessage(read.text(at: 1)) != read { input.fail("\(read) is another") }
        }
    }
}
#endif
