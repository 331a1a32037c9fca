// SPDX-License-Identifier: Apache-2.0

import Foundation
import Hummingbird
import MartletHTTP

let hub = Hub()
let importer = Importer(hub: hub)
let router = Router(context: BasicEventStreamRequestContext.self)

router.get("/") { _, _ in
    Response(
        status: .ok, headers: [.contentType: "text/html; charset=utf-8"],
        body: ResponseBody(byteBuffer: ByteBuffer(bytes: PackageResources.page_html)))
}

// The body is the file. The answer is the id of the import.
router.post("imports") { request, _ in
    let file = try await request.body.collect(upTo: 10 * 1024 * 1024)
    return EditedResponse(status: .accepted, response: try await importer.add(String(buffer: file)))
}

// Reports until the final one. A browser that comes back after that gets 204, and stays away.
router.events("imports/{id}") { _, context, stream in
    let id = try context.parameters.require("id")
    guard importer.knows(id) else { throw HTTPError(.notFound) }
    try await stream.follow(job: id, of: hub)
}

let port = Environment().get("PORT", as: Int.self) ?? 8080
let application = Application(
    router: router, server: .eventStreams(of: hub), configuration: .init(address: .hostname(port: port)),
    services: [hub, importer])
try await application.runService()
