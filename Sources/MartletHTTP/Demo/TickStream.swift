// SPDX-License-Identifier: Apache-2.0

import EventStream
import Foundation
import Hummingbird
import Martlet
import NIOCore

/// The demo stream: `data: Time: 2026-01-31T12:00:00.0000000Z, Count: 0` every second, with a counter of its own for each
/// connection. It needs no hub to be filled, so that a client can be tried at once.
struct TickStream<C: Clock>: Sendable where C.Duration == Duration {
    let hub: Hub
    let clock: C
    let now: @Sendable () -> Date

    func respond(to request: Request, context: some RequestContext) -> Response {
        Response(
            status: .ok, headers: .eventStream,
            body: ResponseBody { writer in
                try await writer.write(ByteBuffer(bytes: ServerSentEvent(comment: "").encoded()))
                // A client that leaves cancels the ticks.
                try await request.body.consumeWithCancellationOnInboundClose { [writer] _ in
                    var writer = writer
                    try await tick(to: &writer)
                }
            })
    }

    private func tick(to writer: inout any ResponseBodyWriter) async throws {
        var next = clock.now
        for count in 0... {
            let event = ServerSentEvent(data: "Time: \(Self.text(now())), Count: \(count)")
            try await writer.write(ByteBuffer(bytes: event.encoded()))
            next = next.advanced(by: .seconds(1))
            try await clock.sleep(until: next, tolerance: nil)
            if hub.isDraining { break }
        }
        try await writer.write(WireBytes.retry(hub.retry()).plain)
        try await writer.finish(nil)
    }

    /// ISO 8601 in UTC with seven digits of a second.
    static func text(_ date: Date) -> String {
        let ticks = Int64((date.timeIntervalSince1970 * 10_000_000).rounded())
        let seconds = Date(timeIntervalSince1970: Double(ticks / 10_000_000)).formatted(.iso8601)
        let digits = String(ticks % 10_000_000 + 10_000_000).dropFirst()
        return "\(seconds.dropLast()).\(digits)Z"
    }
}
