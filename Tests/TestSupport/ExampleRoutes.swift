// SPDX-License-Identifier: Apache-2.0

import Hummingbird
import Martlet
import MartletHTTP

extension RouterMethods where Context: EventStreamRequestContext {
    /// Adds the routes of a small application: a page at `/`, and a stream of its own at `/api/events/stream` that counts
    /// from 0.
    func addExamples(of hub: Hub) -> Self {
        on(
            "/",
            answering: [
                .get: { _, _ in Response(status: .ok, body: ResponseBody(byteBuffer: ByteBuffer(string: "page"))) }
            ])
        return events("api/events/stream", options: EventStreamOptions(retry: hub.configuration.retry)) {
            _, _, stream in
            for count in 0... {
                if hub.isDraining { return }
                try await stream.send("\(count)")
                try await Task.sleep(for: .seconds(1))
            }
        }
    }
}
