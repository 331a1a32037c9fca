// SPDX-License-Identifier: Apache-2.0

import EventStream
import HTTPTypes
import Hummingbird
import Martlet
import MartletHTTP
import MartletMercure
import MartletTesting
import TestSupport

/// A server that speaks Mercure. A token is the name of a grant.
struct MercureServer: Sendable {
    let server: TestServer

    var hub: Hub { server.hub }

    /// - Parameters:
    ///   - grants: What each token may. `all` may everything, unless another is given.
    ///   - anonymous: What one may without a token; `nil`: nothing.
    static func run<Value: Sendable>(
        hub: Hub = quickHub(),
        grants: [String: Grant] = [:],
        anonymous: Grant? = Grant(seesAllPublic: true),
        options: MercureOptions = MercureOptions(),
        exchange: SubscriptionExchange? = nil,
        adding routes: (Router<BasicEventStreamRequestContext>) -> Void = { _ in },
        _ body: @Sendable @escaping (MercureServer) async throws -> Value
    ) async throws -> Value {
        let all = Grant(subscribe: [.every], seesAllPublic: true, publish: [.every])
        let grants = ["all": all].merging(grants) { $1 }
        let access = Access<BasicEventStreamRequestContext>(
            Tokens(), TokenGrants(grants: grants, anonymous: anonymous))
        return try await TestServer.run(
            hub: hub, access: access,
            adding: routes,
            addingAtDoor: { router, door in
                router.addMercure(of: hub, access: access, options: options, exchange: exchange, frontDoor: door)
            },
            { try await body(MercureServer(server: $0)) })
    }

    func request(
        _ method: String, _ query: String, token: String? = nil, headers: [String: String] = [:], body: String = ""
    ) async throws -> TestResponse {
        var headers = headers
        if let token { headers["Authorization"] = "Bearer \(token)" }
        return try await server.request(method, "/.well-known/mercure\(query)", headers: headers, body: body)
    }

    /// Posts a form.
    func post(_ form: String, token: String? = "all") async throws -> TestResponse {
        try await request(
            "POST", "", token: token, headers: ["Content-Type": "application/x-www-form-urlencoded"], body: form)
    }

    /// Subscribes.
    func listen(_ query: String, token: String? = nil, lastEventID: String = "") async throws -> TestEventSource {
        let token = token.map { "&authorization=\($0)" } ?? ""
        return try await TestEventSource(
            port: server.port, path: "/.well-known/mercure?\(query)\(token)", lastEventID: lastEventID)
    }
}

extension TestEventSource {
    /// What the head of the response says.
    func header(_ name: String) -> String? { TestResponse(head + "\r\n\r\n").header(name) }

    /// The data of the next events.
    func data(of count: Int) async throws -> [String?] {
        var data: [String?] = []
        for _ in 0..<count { data.append(try await next()?.data) }
        return data
    }
}

private struct Tokens: Authenticator {
    func principal(of request: HubRequest, to purpose: AccessPurpose) async throws -> String? {
        request.headers[.authorization]?.split(separator: " ").last.map(String.init) ?? request.queryTokens.first
    }
}

private struct TokenGrants: AccessPolicy {
    let grants: [String: Grant]
    let anonymous: Grant?

    func grant(to token: String?, for purpose: AccessPurpose) async throws -> Grant {
        guard let token else {
            if let anonymous { return anonymous }
            throw Problem(.unauthorized, "There is no token.")
        }
        guard let grant = grants[token] else { throw Problem(.unauthorized, "The token is not known.") }
        return grant
    }
}
