// SPDX-License-Identifier: Apache-2.0

import HTTPTypes
import MartletHTTP
import Testing

@testable import MartletAuth

/// What the parts are together, over HTTP.
@Suite struct AccessTests {
    @Test("A token publishes to what it grants, and a refusal says why")
    func tokenPublishes() async throws {
        let verifier = try await verifier()
        let access = Access<BasicEventStreamRequestContext>(
            TokenAuthenticator(subscriber: verifier, publisher: verifier), MercureClaimPolicy(allowsAnonymous: false))
        let token = try await token(#"{"mercure":{"publish":["orders/{id}"]}}"#)
        try await AccessServer.run(access) { server in
            let granted = try await server.send("POST", "/events/orders/7", ["Authorization: Bearer \(token)"])
            #expect(granted.hasPrefix("HTTP/1.1 200 "))
            let other = try await server.send("POST", "/events/news", ["Authorization: Bearer \(token)"])
            #expect(other.hasPrefix("HTTP/1.1 403 "))
            let without = try await server.send("POST", "/events/orders/7")
            #expect(without.hasPrefix("HTTP/1.1 401 "))
            #expect(without.contains("\r\nWWW-Authenticate: Bearer\r\n"))
            let forged = token.dropLast(12) + "AAAAAAAAAAAA"
            let bad = try await server.send("POST", "/events/orders/7", ["Authorization: Bearer \(forged)"])
            #expect(bad.hasPrefix("HTTP/1.1 401 "))
            #expect(bad.contains(#"Bearer error="invalid_token", error_description="The signature"#))
            #expect(bad.contains("application/problem+json"))
            #expect(!bad.contains(forged))
            let head = try await server.send("HEAD", "/events/orders/7", ["Authorization: Bearer \(token)"])
            #expect(head.hasPrefix("HTTP/1.1 200 "))
            #expect(try await server.send("HEAD", "/events/orders/7").hasPrefix("HTTP/1.1 401 "))
        }
    }

    @Test("The application grants and refuses")
    func applicationGrantsAndRefuses() async throws {
        try await FakeServer.run { application in
            application.answer(.ok, [:], #"{"publish":["a"]}"#)
            let access: Access<BasicEventStreamRequestContext> = try ForwardAccess(url: application.url, logger: quiet)
                .access()
            try await AccessServer.run(access) { server in
                #expect(try await server.send("POST", "/events/a").hasPrefix("HTTP/1.1 200 "))
                #expect(try await server.send("POST", "/events/b").hasPrefix("HTTP/1.1 403 "))
                application.answer(.unauthorized, [:], "")
                #expect(try await server.send("POST", "/events/a").hasPrefix("HTTP/1.1 401 "))
                application.answer(.badGateway, [:], "")
                let away = try await server.send("POST", "/events/a")
                #expect(away.hasPrefix("HTTP/1.1 503 "))
                #expect(away.contains("\r\nRetry-After: 1\r\n"))
            }
            let address = application.requests.first?.headerFields[HTTPField.Name("X-Forwarded-For")!]
            #expect(address == "127.0.0.1")
        }
    }
}
