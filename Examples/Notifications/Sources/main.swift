// SPDX-License-Identifier: Apache-2.0

import Foundation
import Hummingbird
import MartletHTTP

let hub = Hub()
let inbox = Inbox(hub: hub)
let router = Router(context: BasicEventStreamRequestContext.self)

// The page as it is after an event, with the id of this event: the stream continues there.
router.get("/") { _, _ in
    let (items, unread, lastEventID) = inbox.rendered
    let page = String(decoding: PackageResources.page_html, as: UTF8.self)
        .replacing("{{lastEventID}}", with: lastEventID)
        .replacing("{{unread}}", with: "\(unread)")
        .replacing("{{items}}", with: items)
    return Response(
        status: .ok, headers: [.contentType: "text/html; charset=utf-8", .cacheControl: "no-store"],
        body: ResponseBody(byteBuffer: ByteBuffer(string: page)))
}

router.events("stream", from: hub) { _, _ in HubStream(Inbox.topic) }

// The body is the text.
router.post("notifications") { request, _ in
    let text = String(buffer: try await request.body.collect(upTo: 1024))
    let html = "<span>\(escaped(text))</span> <time datetime=\"\(Date.now.formatted(.iso8601))\"></time>"
    try await hub.publish(html, to: Inbox.topic, type: "notification")
    return HTTPResponse.Status.accepted
}

router.post("read") { _, _ in
    try await hub.publish("", to: Inbox.topic, type: "read")
    return HTTPResponse.Status.accepted
}

/// Text as the content of an HTML element.
func escaped(_ text: String) -> String {
    text.replacing("&", with: "&amp;").replacing("<", with: "&lt;")
}

let port = Environment().get("PORT", as: Int.self) ?? 8080
let application = Application(
    router: router, server: .eventStreams(of: hub), configuration: .init(address: .hostname(port: port)),
    services: [hub, inbox])
try await application.runService()
