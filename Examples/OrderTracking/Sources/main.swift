// SPDX-License-Identifier: Apache-2.0

import Hummingbird
import MartletHTTP

let hub = Hub()
let sessions = Sessions()
let shop = Shop(hub: hub)
let router = Router(context: BasicEventStreamRequestContext.self)

router.get("/") { _, _ in
    Response(
        status: .ok, headers: [.contentType: "text/html; charset=utf-8"],
        body: ResponseBody(byteBuffer: ByteBuffer(bytes: PackageResources.page_html)))
}

// GET /events/orders/alice is the stream of Alice's orders. The access decides who may have it.
router.addHub(hub, access: .toOwnOrders(sessions))

router.post("orders") { request, context in
    guard let session = sessions[request.cookies["session"]?.value] else { throw HTTPError(.unauthorized) }
    let wish = try await request.decode(as: Wish.self, context: context)
    guard 1...80 ~= wish.item.count else { throw HTTPError(.badRequest, message: "`item` must have 1 to 80 letters.") }
    return try await shop.place(wish.item, for: session.user)
}

// Who is logged in here: a name, or null.
router.get("session") { request, _ in ["user": sessions[request.cookies["session"]?.value]?.user] }

router.post("session") { request, context in
    let login = try await request.decode(as: Login.self, context: context)
    guard let token = sessions.open(login) else { throw HTTPError(.unauthorized, message: "Wrong name or password.") }
    var response = Response(status: .noContent)
    response.setCookie(Cookie(name: "session", value: token, path: "/", httpOnly: true, sameSite: .strict))
    return response
}

// Ends the user's open streams, too. Those of the user's other sessions come back; those of this one are refused.
router.delete("session") { request, _ in
    if let session = sessions.close(request.cookies["session"]?.value) { hub.revoke(session.user) }
    return HTTPResponse.Status.noContent
}

struct Wish: Decodable { var item: String }

let port = Environment().get("PORT", as: Int.self) ?? 8080
let application = Application(
    router: router, server: .eventStreams(of: hub), configuration: .init(address: .hostname(port: port)),
    services: [hub, shop])
try await application.runService()
