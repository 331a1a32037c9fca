// SPDX-License-Identifier: Apache-2.0

import Testing

@testable import MartletCommand

@Suite("Addresses of Kafka topics")
struct KafkaAddressTests {
    @Test("Brokers and a topic are enough")
    func short() throws {
        let address = try #require(KafkaAddress("kafka://a,b:9093,[::1]/events"))
        #expect(address.servers.map(\.text) == ["a:9092", "b:9093", "[::1]:9092"])
        #expect(address.topic == "events")
        #expect(!address.hasManyPartitions && !address.isRaw && !address.isBase64 && !address.hasPassword)
        #expect(address.properties.isEmpty && address.stateTopic == nil)
        #expect(KafkaAddress(address.text) == address)
    }

    @Test("Options and settings are percent-encoded, and settings are not shown")
    func long() throws {
        let address = try #require(
            KafkaAddress(
                "kafka://us%40er:p%3Aa%26s@h/t?partitions=many&map=raw&encoding=base64&state=t2&sasl.mechanism=PLAIN"
                    + "&ssl.ca.location=%2Fca%20x.pem"))
        #expect(address.hasManyPartitions && address.isRaw && address.isBase64 && address.hasPassword)
        #expect(
            address.properties.map(\.name) == [
                "sasl.username", "sasl.password", "sasl.mechanism", "ssl.ca.location",
            ])
        #expect(address.properties.map(\.value.text) == ["us@er", "p:a&s", "PLAIN", "/ca x.pem"])
        #expect(address.text == "kafka://h:9092/t?partitions=many&map=raw&encoding=base64&state=t2")
        #expect(address.stateTopic == "t2")
        #expect(try #require(KafkaAddress("kafka://h/t?state=")).stateTopic == "")
    }

    @Test(
        "Anything else is no address of a topic",
        arguments: [
            "kafka://", "kafka://h", "kafka://h/", "kafka:///t", "kafka://h,/t", "kafka://h:0/t", "kafka://h:x/t",
            "kafka://h/a/b", "kafka://h/a b", "kafka://h/.", "kafka://h/..", "kafka://h/\u{E9}", "kafka://user@h/t",
            "kafka://:word@h/t", "kafka://user:@h/t", "kafka://h/t?partitions=3", "kafka://h/t?map=own",
            "kafka://h/t?encoding=hex", "kafka://h/t?unknown=1", "kafka://h/t?acks", "kafka://h/t?state=a/b",
            "kafka://h/t?a.b=%FF",
            "kafka://h/\(String(repeating: "t", count: 250))", "Kafka://h/t",
        ])
    func refused(text: String) {
        #expect(KafkaAddress(text) == nil)
    }

    @Test("An address that is refused is shown without what may be a secret")
    func hidden() async throws {
        for text in [
            "kafka://u:hidden@h:1/t?acks=1", "kafka://h/t?ssl.key.password=hidden&nodot=1",
            "kafka://@h:1/t?sasl.password=hidden@x&acks=1", "redis://:hidden@h?stream=",
        ] {
            let message = try #require(try await problem(environment: ["MARTLET_LOG": text]))
            #expect(!message.contains("hid"), "\(message)")
        }
    }

    @Test("Retention by age belongs to the brokers, and a build without Kafka says how to get it")
    func settings() async throws {
        #if Kafka
        let age = try #require(try await problem(commandLine: ["log": "kafka://h/t", "history-age": "1h"]))
        #expect(age.contains("retention.ms"))
        let unknown = try #require(try await problem(commandLine: ["log": "kafka://h/t?no.such=value"]))
        #expect(unknown.contains("no.such") && !unknown.contains("value"))
        #expect(try await problem(commandLine: ["log": "kafka://h/t?compression.type=lz4"]) == nil)
        let same = try #require(try await problem(commandLine: ["log": "kafka://h/t?state=t"]))
        #expect(same.contains("The setting state") && same.contains("Give another name."))
        let name = String(repeating: "t", count: 243)
        #expect(try await problem(commandLine: ["log": "kafka://h/\(name)"]) == nil)
        let long = try #require(try await problem(commandLine: ["log": "kafka://h/\(name)t"]))
        #expect(long.contains("The setting state") && long.contains("249 bytes"))
        #else
        let message = try #require(try await problem(commandLine: ["log": "kafka://h/t"]))
        #expect(message.contains("apt-get install librdkafka-dev"))
        #expect(message.contains("swift run -c release --traits Kafka martlet serve"))
        #endif
    }
}
