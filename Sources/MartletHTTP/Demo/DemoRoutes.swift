// SPDX-License-Identifier: Apache-2.0

import Foundation
public import Hummingbird
public import Martlet

extension RouterMethods where Context: ChannelRequestContext {
    /// Adds the demo: the page at `/`, and the stream `/api/events/stream` that it shows.
    @discardableResult
    public func addDemo(of hub: Hub) -> Self {
        let ticks = TickStream(hub: hub, clock: ContinuousClock(), now: { Date() })
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
        on(
            "api/events/stream",
            answering: [
                .get: { request, context in ticks.respond(to: request, context: context) },
                .head: { _, _ in Response(status: .ok, headers: .eventStream) },
            ])
        return self
    }
}
