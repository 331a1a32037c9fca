// SPDX-License-Identifier: Apache-2.0

import Hummingbird
import Martlet
import MartletHTTP
import MartletMercure
import TestSupport
import Testing

@Suite struct MercureDiscoveryTests {
    @Test("Pages say where the hub is, and what they are about")
    func pagesSayWhereTheHub() async throws {
        let hub = quickHub()
        let discovery = try MercureDiscoveryMiddleware<BasicEventStreamRequestContext>(resumingFrom: hub) {
            request, _ in
            request.uri.path == "/books/1" ? "https://example.com/books/1" : nil
        }
        try await MercureServer.run(hub: hub) { router in
            let pages = router.group("books").add(middleware: discovery)
            pages.get(":id") { _, _ in "a page" }
            pages.get(":id/gone") { _, _ -> String in throw Problem(.gone, "It is gone.") }
            pages.post(":id") { _, _ in "done" }
        } _: { mercure in
            let id = try await mercure.hub.publish("1", to: "a")
            try await mercure.server.until { $0.end.text == id }
            let hubLink = "</.well-known/mercure>; rel=\"mercure\"; last-event-id=\"\(id)\""
            let page = try await mercure.server.request("GET", "/books/1")
            #expect(page.body == "a page")
            #expect(page.links == [hubLink, "<https://example.com/books/1>; rel=\"self\""])
            #expect(try await mercure.server.request("HEAD", "/books/2").status == 404)
            #expect(try await mercure.server.request("GET", "/books/2").links == [hubLink])
            #expect(try await mercure.server.request("POST", "/books/2").links == [])
            #expect(try await mercure.server.request("GET", "/books/2/gone").status == 410)
            #expect(try await mercure.server.request("GET", "/health/live").links == [])
        }
    }

    @Test("The demo page can say it too")
    func demoPageCanSay() async throws {
        let hub = quickHub()
        let discovery = try MercureDiscoveryMiddleware<BasicEventStreamRequestContext>(url: "https://hub.example/h")
        try await TestServer.run(hub: hub) {
            $0.add(middleware: discovery)
        } _: { server async throws in
            #expect(try await server.request("GET", "/").links == ["<https://hub.example/h>; rel=\"mercure\""])
        }
    }

    @Test("A URL that cannot be in a header is refused at once")
    func urlThatCannot() {
        #expect(throws: (any Error).self) { try MercureDiscoveryMiddleware<BasicEventStreamRequestContext>(url: "a b") }
        #expect(throws: (any Error).self) {
            try MercureDiscoveryMiddleware<BasicEventStreamRequestContext>(contentType: "a\r\nb")
        }
    }
}

extension TestResponse {
    fileprivate var links: [String] {
        head.split(separator: "\r\n").filter { $0.lowercased().hasPrefix("link: ") }.map { String($0.dropFirst(6)) }
    }
}
