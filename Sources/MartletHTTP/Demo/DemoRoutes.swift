// SPDX-License-Identifier: Apache-2.0

public import Hummingbird
public import Martlet

extension RouterMethods where Context: ChannelRequestContext {
    /// Adds the demo: the page at `/`, and the stream `/api/events/stream` that it shows.
    @discardableResult
    public func addDemo(of hub: Hub) -> Self {
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
        return events("api/events/stream", options: EventStreamOptions(retry: hub.configuration.retry)) { _, _, stream in
            try await TickStream.write(to: stream, until: hub)
        }
    }
}
