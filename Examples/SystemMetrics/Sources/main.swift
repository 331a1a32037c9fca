// SPDX-License-Identifier: Apache-2.0

import Hummingbird
import MartletHTTP

let hub = Hub()
let sampler = Sampler(hub: hub)
let router = Router(context: BasicEventStreamRequestContext.self)

router.get("/") { _, _ in
    Response(
        status: .ok, headers: [.contentType: "text/html; charset=utf-8"],
        body: ResponseBody(byteBuffer: ByteBuffer(bytes: PackageResources.page_html)))
}

// A topic: what happens. With ?since=2m, a page begins with the samples of the last two minutes.
router.events("samples", from: hub) { _, _ in HubStream(sampler.samples.topic) }

// A state: what is. A page begins with the current value, however old it is.
router.events("condition", from: hub) { _, _ in HubStream(sampler.condition) }

let port = Environment().get("PORT", as: Int.self) ?? 8080
let application = Application(
    router: router, server: .eventStreams(of: hub), configuration: .init(address: .hostname(port: port)),
    services: [hub, sampler])
try await application.runService()
