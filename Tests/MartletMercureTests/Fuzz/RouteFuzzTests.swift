// SPDX-License-Identifier: Apache-2.0

import HTTPTypes
import Hummingbird
import HummingbirdCore
import Martlet
import MartletHTTP
import MartletMercure
import MartletTesting
import NIOCore
import NIOEmbedded
import TestSupport
import Testing

@Suite struct RouteFuzzTests {
    private static let expected: Set<Int> = [200, 304, 400, 401, 403, 404, 413, 415, 422]

    @Test("No request has the routes fail")
    func noRequestHasTheRoutes() async throws {
        let hub = quickHub(retention: Retention(events: 1000)) { $0.windowBytes = 1024 * 1024 }
        let running = Task { try await hub.run() }
        let responder = Self.responder(of: hub)
        let channel = EmbeddedChannel()
        var input = FuzzInput()
        while await input.next() {
            let request = Self.request(&input)
            let context = BasicEventStreamRequestContext(
                source: ApplicationRequestContextSource(channel: channel, logger: quiet))
            let status: Int
            do {
                status = try await responder.respond(to: request, context: context).status.code
            } catch let error as any HTTPResponseError {
                status = error.status.code
            }
            guard Self.expected.contains(status) else {
                input.fail("\(request.method) \(request.head.path ?? "") was answered with \(status)")
                break
            }
        }
        // Every stream was given back.
        #expect(hub.feedCount == 0)
        running.cancel()
        try await running.value
    }

    private static func responder(of hub: Hub) -> any HTTPResponder<BasicEventStreamRequestContext> {
        let router = Router(context: BasicEventStreamRequestContext.self)
        router.add(middleware: ProblemMiddleware())
        var options = MercureOptions()
        options.activeSubscriptions = true
        let access = Access<BasicEventStreamRequestContext> { request, _, _ in
            Grant(subscribe: [.every], seesAllPublic: true, publish: [.every], payload: "{}")
        }
        router.addHub(hub, access: access).addMercure(of: hub, access: access, options: options)
        return router.buildResponder()
    }

    private static func request(_ input: inout FuzzInput) -> Request {
        var head = HTTPRequest(method: .get, scheme: "http", authority: "localhost", path: "/")
        var body = ByteBuffer()
        switch input.choose([0, 1, 2, 3, 4, 5]) {
        case 0, 1:
            head.method = .post
            head.path = "/.well-known/mercure"
            head.headerFields[.idempotencyKey] = input.choose([nil, "1", "\"1\"", "\"" + input.text, input.text])
            body.writeBytes(input.bytes)
        case 2:
            head.path = "/.well-known/mercure?" + input.choose(["", "topic=a&since="]) + input.text
        case 3:
            head.method = .head
            head.path = "/.well-known/mercure?topic=a&" + input.text
            head.headerFields[.lastEventID] = input.text
        case 4:
            head.path = "/.well-known/mercure/subscriptions" + input.choose(["", "/", "/a/"]) + input.text
            head.headerFields[.ifNoneMatch] = input.text
        default:
            head.method = .post
            head.path = "/events/" + input.text
            body.writeBytes(input.bytes)
        }
        return Request(head: head, body: RequestBody(buffer: body))
    }

    /// Through the parser of the server, so that what is no HTTP is among it.
    @Test("No bytes have the server fail")
    func noBytesHaveTheServer() async throws {
        var options = MercureOptions()
        options.activeSubscriptions = true
        try await MercureServer.run(options: options) { mercure in
            var input = FuzzInput()
            while await input.next(), input.number < 500 {
                let connection = try await TestConnection(port: mercure.server.port)
                let start = input.choose([
                    "HEAD /.well-known/mercure?topic=a&", "GET /.well-known/mercure/subscriptions/",
                ])
                try await connection.send(Array(start.utf8) + input.bytes)
                try await connection.send(
                    " HTTP/1.1\r\nHost: localhost\r\nAuthorization: all\r\nConnection: close\r\n\r\n")
                try await connection.finishSending()
                let status = TestResponse(try await connection.receiveAll()).status
                try await connection.close()
                // Nothing at all is answered to what may go on.
                if status >= 500, ![501, 505].contains(status) { return input.fail("\(status)") }
            }
            try await mercure.server.until { $0.streamCount == 0 && $0.feedCount == 0 }
        }
    }
}
