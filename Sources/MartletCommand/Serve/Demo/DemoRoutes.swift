// SPDX-License-Identifier: Apache-2.0

import Foundation
import Hummingbird
import Martlet
import MartletHTTP

extension RouterMethods where Context: EventStreamRequestContext {
    /// Adds the demo: the page at `/`, and the stream of ticks at `/api/events/stream` that it shows.
    func addDemo(of hub: Hub) {
        let page = ByteBuffer(bytes: PackageResources.demo_html)
        on(
            "/",
            answering: [
                .get: { _, _ in
                    Response(
                        status: .ok,
                        headers: [.contentType: "text/html; charset=utf-8", .cacheControl: "no-cache"],
                        body: ResponseBody(byteBuffer: page))
                }
            ])
        events("api/events/stream", options: EventStreamOptions(retry: hub.configuration.retry)) { _, _, stream in
            try await TickStream.write(to: stream, until: hub)
        }
    }
}

/// A stream that needs no publisher, so you can try a client at once. Each second it sends
/// `data: Time: 2026-01-31T12:00:00.0000000Z, Count: 0`, and each connection counts from 0.
private enum TickStream {
    static func write(to stream: EventStreamWriter, until hub: Hub) async throws {
        var next = ContinuousClock.now
        for count in 0... {
            if hub.isDraining { return }
            try await stream.send("Time: \(text(Date())), Count: \(count)")
            next += .seconds(1)
            try await Task.sleep(until: next, clock: .continuous)
        }
    }

    /// ISO 8601 in UTC with seven digits of a second.
    private static func text(_ date: Date) -> String {
        let ticks = Int64((date.timeIntervalSince1970 * 10_000_000).rounded())
        let seconds = Date(timeIntervalSince1970: Double(ticks / 10_000_000)).formatted(.iso8601)
        let digits = String(ticks % 10_000_000 + 10_000_000).dropFirst()
        return "\(seconds.dropLast()).\(digits)Z"
    }
}
