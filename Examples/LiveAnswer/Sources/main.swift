// SPDX-License-Identifier: Apache-2.0

import Foundation
import Hummingbird
import MartletHTTP

let port = Environment().get("PORT", as: Int.self) ?? 8080
let hub = Hub()
let answers = Answers(in: hub, by: "http://localhost:\(port)/v1/chat/completions")
let router = Router(context: BasicEventStreamRequestContext.self)

router.get("/") { _, _ in
    Response(
        status: .ok, headers: [.contentType: "text/html; charset=utf-8"],
        body: ResponseBody(byteBuffer: ByteBuffer(bytes: PackageResources.page_html)))
}

// The body is the question. The answer is the id under which the model's answer is found.
router.post("answers") { request, _ in
    let question = try await request.body.collect(upTo: 10 * 1024)
    return EditedResponse(status: .accepted, response: try await answers.ask(String(buffer: question)))
}

// The page reads it from its beginning, while it grows and afterwards.
router.events("answers/{id}", from: hub) { _, context in
    let id = try context.parameters.require("id")
    guard await answers.knows(id) else { throw HTTPError(.notFound) }
    return HubStream(try Answers.topic(id))
}

router.delete("answers/{id}") { _, context in
    await answers.stop(try context.parameters.require("id"))
    return HTTPResponse.Status.noContent
}

// In an application, this is on another server.
router.post("v1/chat/completions", use: ScriptedModel.respond)

let application = Application(
    router: router, server: .eventStreams(of: hub), configuration: .init(address: .hostname(port: port)),
    services: [hub, answers])
try await application.runService()
