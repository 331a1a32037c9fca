// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import MartletBench
import MartletOutgoing
import Testing

@testable import MartletCommand

@Suite("Command line of bench")
struct BenchCommandTests {
    @Test("Options make the plan")
    func plan() throws {
        let arguments = [
            "http://h:1/s", "--subscribers", "5", "--rate", "7", "--size", "1KiB", "--duration", "3s", "--publish",
            "http://h:2/p", "--connect-rate", "9", "--settle", "0", "--warm-up", "500ms", "--drain", "2s",
            "--server-pid", "42", "--header", "A: b", "--header", "C: d", "--header", "c: e", "--header", "Cookie: a=1",
            "--header",
            "Cookie: b=2", "--publish-header", "E: f",
        ]
        let plan = try BenchCommand.parse(arguments).plan
        #expect(plan.target.text == "http://h:1/s")
        #expect(plan.subscribers == 5)
        #expect(plan.connectRate == 9)
        #expect(plan.settle == .zero)
        #expect(plan.warmUp == .milliseconds(500))
        #expect(plan.duration == .seconds(3))
        #expect(plan.drain == .seconds(2))
        #expect(plan.serverProcess == 42)
        #expect(plan.header.map { "\($0.name): \($0.value)" } == ["A: b", "C: d, e", "Cookie: a=1; b=2"])
        let publishing = try #require(plan.publishing)
        #expect(publishing.target.text == "http://h:2/p")
        #expect(publishing.rate == 7)
        #expect(publishing.size == 1024)
        #expect(publishing.header.map { "\($0.name): \($0.value)" } == ["E: f"])
    }

    @Test("Without --publish nothing is published")
    func noPublishing() throws {
        #expect(try BenchCommand.parse(["http://h/"]).plan.publishing == nil)
    }

    @Test(
        "Bad values are usage errors of one line",
        arguments: [
            [], ["h"], ["https://h/"], ["http://h/", "--rate", "0"], ["http://h/", "--subscribers", "x"],
            ["http://h/", "--size", "55"], ["http://h/", "--duration", "0"], ["http://h/", "--publish", "h"],
            ["http://h/", "--header", "x"], ["http://h/", "--header", "a: b\r\nc: d"],
            ["http://h/", "--server-pid", "0"], ["http://h:99999/"], ["http://h/", "--publish", "https://h/"],
        ]
    )
    func usageError(arguments: [String]) throws {
        let error = #expect(throws: (any Error).self) { try BenchCommand.parse(arguments) }
        let outcome = Outcome(of: try #require(error))
        #expect(outcome.exitCode == 2)
        #expect(!outcome.text.contains("\n"))
    }

    @Test("A message does not repeat a URL or a field, where a password may be")
    func secrets() throws {
        for arguments in [["http://u:sesame@h/"], ["http://h/", "--header", "sesame"], ["https://sesame/"]] {
            let error = #expect(throws: (any Error).self) { try BenchCommand.parse(arguments) }
            #expect(!Outcome(of: try #require(error)).text.contains("sesame"))
        }
    }
}
