// SPDX-License-Identifier: Apache-2.0

import Testing

@testable import MartletCommand

@Suite("Where a Redis server is")
struct RedisAddressTests {
    @Test("Everything but the host has a default")
    func defaults() throws {
        let address = try #require(RedisAddress("redis://example.org"))
        #expect(address.host == "example.org")
        #expect(address.port == 6379)
        #expect(address.database == 0)
        #expect(address.stream == "martlet")
        #expect(address.username == nil)
        #expect(address.password == nil)
        #expect(!address.isEncrypted)
        #expect(RedisAddress("redis://example.org/") == address)
        #expect(RedisAddress(address.text) == address)
    }

    @Test("Every part is read")
    func parts() throws {
        let address = try #require(RedisAddress("rediss://us%40er:p%3Aa%2Fs:s@[::1]:7000/3?stream=%7Bhub%7D"))
        #expect(address.host == "::1")
        #expect(address.port == 7000)
        #expect(address.database == 3)
        #expect(address.stream == "{hub}")
        #expect(address.username == "us@er")
        #expect(address.password == SecretText(text: "p:a/s:s"))
        #expect(address.isEncrypted)
        #expect(RedisAddress("redis://:word@h")?.username == nil)
        #expect(RedisAddress("redis://:word@h")?.password == SecretText(text: "word"))
    }

    @Test("No password is shown", arguments: ["redis://user:hidden@h/1", "redis://:hidden@h"])
    func secrets(text: String) async throws {
        let location = try #require(LogLocation(text))
        #expect(location.hasPassword)
        #expect(!location.text.contains("hidden"))
        #expect(!"\(location)".contains("hidden"))
        let message = try #require(try await problem(environment: ["MARTLET_LOG": text + "/x?y"]))
        #expect(!message.contains("hidden"))
    }

    @Test(
        "What is no address is refused",
        arguments: [
            "redis://", "redis:///1", "redis://:6379", "redis://h:0", "redis://h:65536", "redis://h:x", "redis://h/x",
            "redis://h/-1", "redis://h?stream=", "redis://h?other=1", "redis://h?stream", "redis://user@h",
            "redis://user:@h", "redis://a b", "redis://%zz:p@h", "redis://%ff:p@h", "redis://h:+1", "redis://::1",
            "redis://[::1", "redis://[]", "redis://[::1]x", "redis://h/+1", "redis://h?stream=%ff", "http://h",
        ])
    func rubbish(text: String) {
        #expect(RedisAddress(text) == nil)
    }

    @Test("A combining mark behind a separator belongs to the next part")
    func combiningMarks() throws {
        let address = try #require(RedisAddress("redis://\u{301}u:\u{301}p@\u{301}h:7000/3?stream=\u{301}s"))
        #expect(address.username == "\u{301}u")
        #expect(address.password == SecretText(text: "\u{301}p"))
        #expect(address.host == "\u{301}h")
        #expect(address.port == 7000)
        #expect(address.database == 3)
        #expect(address.stream == "\u{301}s")
        #expect(LogLocation("sqlite:\u{301}.db") == .sqlite(path: "\u{301}.db"))
        #expect(LogLocation("sqlite:a\0b") == nil)
    }

    @Test("A missing feature of the build is an error that names it")
    func unsupported() async throws {
        #if Redis
        #expect(try await problem(commandLine: ["log": "redis://h"]) == nil)
        let message = try #require(try await problem(commandLine: ["log": "rediss://h"]))
        #expect(message.contains("no TLS for Redis"))
        #else
        let message = try #require(try await problem(commandLine: ["log": "redis://h"]))
        #expect(message.contains("apt-get install libhiredis-dev"))
        #expect(message.contains("swift run -c release --traits Redis martlet serve"))
        #endif
    }
}
