// SPDX-License-Identifier: Apache-2.0

#if Kafka
import Martlet
import TestSupport
import Testing

@testable import MartletKafka

@Suite("The positions of a Kafka topic")
struct KafkaPlaceTests {
    private let tag = TopicTag(cluster: "c", topic: "martlet")
    private let stamp = Stamp(ofRecordAt: 1_790_000_000_000)

    @Test("A position is the tag of the topic, the stamp of a record, and its offset")
    func single() {
        let place = KafkaPlace(tag, stamp, [Progress(next: 43)])
        #expect(place.text == "\(tag.text)\(stamp.text)-42")
        #expect(place.anchor == 42)
        #expect(KafkaPlace(tag, stamp, [Progress(next: 42, part: 2)]).text.hasSuffix("-42.2"))
        #expect(KafkaPlace(tag, nil, [Progress(next: 0)]).text == "\(tag.text)00000000-0.0")
        #expect(KafkaPlace(tag, stamp, [Progress(next: 1)], life: 3).text.hasSuffix("-0~3"))
    }

    @Test("Every place has one spelling that leads back to it")
    func spellings() throws {
        let places = [
            KafkaPlace(tag, stamp, [Progress(next: 43)]),
            KafkaPlace(tag, stamp, [Progress(next: 0, part: 7)]),
            KafkaPlace(tag, nil, [Progress(next: 5)], life: 1),
            KafkaPlace(tag, stamp, [Progress(next: .max)]),
            KafkaPlace(tag, stamp, partition: 1, [Progress(next: 0), Progress(next: 40, part: 1), Progress(next: 99)]),
            KafkaPlace(tag, nil, [Progress(next: 0), Progress(next: 0)]),
            KafkaPlace(tag, stamp, partition: 2, [0, 0, 9].map { Progress(next: $0) }, isOfOneEvent: true),
        ]
        for place in places {
            let text = try Position(place.text).text
            #expect(KafkaPlace(text, partitions: place.progress.count) == place, "\(text)")
            for other in [1, 2, 3, 12] where other != place.progress.count {
                #expect(KafkaPlace(text, partitions: other) == nil || other > 1 && place.isOfOneEvent, "\(text)")
            }
        }
    }

    @Test("The longest position fits into an id")
    func longest() throws {
        let next = Progress(next: 78_364_164_095)
        var progress = Array(repeating: next, count: KafkaLogConfiguration.mostPartitions)
        progress[11].part = 9999
        let place = KafkaPlace(tag, stamp, partition: 11, progress, life: 99)
        #expect(place.text.utf8.count <= 128)
        #expect(KafkaPlace(place.text, partitions: 12) == place)
    }

    @Test(
        "Other texts are no places",
        arguments: [
            "", "-", "1", "abcd12345678", "abcd12345678-", "abcd12345678--1", "abcd12345678-01", "abcd12345678-1.",
            "abcd12345678-1.0", "abcd00000000-1", "abcd00000000-1.1", "abcd12345678-1~", "abcd12345678-1~0",
            "abcd12345678-1~1001", "ABCD12345678-1", "abcd1234567-1", "abcd12345678-9223372036854775807",
            "abcd12345678-99999999999999999999", "abcd12345678-1-1", "abcd12345678-1.2.3", "é bcd1234567-1",
        ])
    func others(text: String) {
        #expect(KafkaPlace(text, partitions: 1) == nil)
    }

    @Test("Any text is read without a trap, and read again the same")
    func fuzz() {
        var random = SeededGenerator(seed: FuzzSettings.seed)
        let pieces = ["0", "1", "9", "z", "a", "-", ".", "_", "~", "abcd", "00000000", "12345678", "é", " ", "A"]
        for _ in 0..<(FuzzSettings.count ?? 20_000) {
            let text = (0..<Int.random(in: 0...12, using: &random)).map { _ in
                pieces[Int.random(in: 0..<pieces.count, using: &random)]
            }.joined()
            for partitions in [1, 2, 3] {
                guard let place = KafkaPlace(text, partitions: partitions) else { continue }
                #expect(place.text == text)
            }
        }
    }
}
#endif
