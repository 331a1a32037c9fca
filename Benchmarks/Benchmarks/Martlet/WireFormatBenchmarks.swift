// SPDX-License-Identifier: Apache-2.0

import Benchmark
import EventStream

/// Encoding and parsing an event of 200 bytes, one line and twenty.
func wireFormatBenchmarks() {
    let texts = [
        ("one line", String(repeating: "x", count: 200)),
        ("20 lines", Array(repeating: "123456789", count: 20).joined(separator: "\n")),
    ]
    for (name, text) in texts {
        let event = ServerSentEvent(event: "shipped", data: text, id: "7k3m9p2q-1234")
        Benchmark("Encode, \(name)") { benchmark in
            for _ in benchmark.scaledIterations { blackHole(try event.encoded()) }
        }
        Benchmark("Parse, \(name)") { benchmark, bytes in
            var parser = EventStreamParser()
            for _ in benchmark.scaledIterations { blackHole(try parser.parse(bytes)) }
        } setup: {
            try event.encoded()
        }
    }
}
