// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import EventStream
import Foundation
import Martlet
import MartletTesting
import ServiceLifecycle
import TestSupport
import Testing

@testable import MartletCommand

@Suite("The servers of a hub")
struct HubServerTests {
    private static let key = "a secret of more than thirty-two bytes"
    private static let keys = ["MARTLET_PUBLISHER_KEY": key, "MARTLET_SUBSCRIBER_KEY": key]

    private static func token(_ arguments: [String]) async throws -> [String: String] {
        let command = try MakeTokenCommand.parse(["--key-env", "KEY"] + arguments)
        return ["Authorization": "Bearer \(try await command.token(environment: ["KEY": key], now: Date()))"]
    }

    @Test("A hub without keys serves programs of this machine everything but the control of streams")
    func open() async throws {
        try await RunningHub.run { hub async throws in
            #expect(try await hub.request("GET", "/health/ready").status == 200)
            #expect(try await hub.request("GET", "/metrics").body.contains("martlet_streams "))
            #expect(try await hub.request("POST", "/events/a", body: "1").status == 200)
            #expect(try await hub.request("POST", "/tickets").status == 404)
            for path in ["/", "/metrics", "/events/a"] {
                let foreign = try await hub.request("GET", path, headers: ["Host": "hub.example"])
                #expect(foreign.status == 403, "\(path)")
            }
            #expect(try await hub.request("GET", "/health/live", headers: ["Host": "hub.example"]).status == 200)
        }
    }

    @Test("A hub with keys asks for tokens, and shows no metrics to its clients")
    func keys() async throws {
        try await RunningHub.run(environment: Self.keys) { hub async throws in
            let publisher = try await Self.token(["--publish", "a"])
            let subscriber = try await Self.token(["--subscribe", "a"])
            #expect(try await hub.request("POST", "/events/a", body: "1").status == 401)
            #expect(try await hub.request("POST", "/events/a", headers: publisher, body: "1").status == 200)
            #expect(try await hub.request("POST", "/events/b", headers: publisher, body: "1").status == 403)
            #expect(try await hub.request("POST", "/events/a", headers: subscriber, body: "1").status == 401)
            #expect(try await hub.request("POST", "/tickets?topic=a").status == 401)
            #expect(try await hub.request("POST", "/tickets?topic=a", headers: subscriber).status == 200)
            #expect(try await hub.request("GET", "/metrics").status == 404)
            #expect(try await hub.request("GET", "/", headers: ["Host": "hub.example"]).status == 200)
        }
    }

    @Test("Audience, issuer and algorithm of the settings are those of tokens")
    func claims() async throws {
        let rules = [
            "MARTLET_PUBLISHER_AUDIENCE": "hub", "MARTLET_PUBLISHER_ISSUER": "https://a/",
            "MARTLET_PUBLISHER_ALG": "HS256",
        ]
        try await RunningHub.run(environment: Self.keys.merging(rules) { $1 }) { hub async throws in
            for (claims, status) in [
                (["--audience", "hub", "--issuer", "https://a/"], 200), (["--audience", "hub"], 401),
                (["--audience", "other", "--issuer", "https://a/"], 401),
                (["--audience", "hub", "--issuer", "https://b/"], 401),
            ] {
                let token = try await Self.token(["--publish", "a"] + claims)
                #expect(try await hub.request("POST", "/events/a", headers: token, body: "1").status == status)
            }
        }
    }

    @Test("A file of roles says what the claims of a token allow")
    func roles() async throws {
        let file = FileManager.default.temporaryDirectory.appending(path: "martlet-\(UUID()).json")
        defer { try? FileManager.default.removeItem(at: file) }
        try Data(#"{"claim": "sub", "roles": {"editor": {"publish": ["a"]}}}"#.utf8).write(to: file)
        try await RunningHub.run(["roles": file.path()], environment: Self.keys) { hub async throws in
            for (subject, status) in [("editor", 200), ("reader", 403)] {
                let token = try await Self.token(["--subject", subject, "--publish", "*"])
                #expect(try await hub.request("POST", "/events/a", headers: token, body: "1").status == status)
            }
        }
        try Data("[]".utf8).write(to: file)
        let error = await #expect(throws: SettingsError.self) {
            try await RunningHub.run(["roles": file.path()], environment: Self.keys) { _ in }
        }
        #expect(error?.description.hasPrefix("roles in \(file.path()): ") == true)
    }

    @Test("With a back end that is away, no client is admitted")
    func authorizeURL() async throws {
        try await RunningHub.run(["authorize-url": "http://127.0.0.1:1/"]) { hub async throws in
            let token = ["Authorization": "Bearer a"]
            #expect(try await hub.request("POST", "/events/a", headers: token, body: "1").status == 503)
        }
    }

    @Test("The cookie and the origins of the settings admit a page")
    func cookies() async throws {
        let page = "https://page.example"
        let settings = ["cookie-name": "token", "cors-origin": page, "publish-origin": page]
        try await RunningHub.run(settings, environment: Self.keys) { hub async throws in
            let token = try await Self.token(["--publish", "a"]).values.first?.dropFirst("Bearer ".count) ?? ""
            for (cookie, origin, status) in [
                ("token", page, 200), ("other", page, 401), ("token", "https://other.example", 401),
            ] {
                let headers = ["Cookie": "\(cookie)=\(token)", "Origin": origin]
                let answer = try await hub.request("POST", "/events/a", headers: headers, body: "1")
                #expect(answer.status == status, "\(cookie) \(origin)")
                #expect(answer.header("access-control-allow-origin") == (origin == page ? page : nil))
            }
        }
    }

    @Test("A hub that is read-only streams, and refuses every publish")
    func readOnly() async throws {
        for environment in [[:], Self.keys] {
            try await RunningHub.run(["read-only": "true", "anonymous": "true"], environment: environment) {
                hub async throws in
                let token = try await Self.token(["--publish", "*"])
                #expect(try await hub.request("POST", "/events/a", headers: token, body: "1").status == 403)
                let source = try await TestEventSource(port: hub.port, path: "/events/a")
                #expect(source.status == 200)
                try await source.connection.close()
            }
        }
    }

    @Test("The server for operators has health and metrics only, and takes them from the other port")
    func operations() async throws {
        try await RunningHub.run(["metrics-port": "0"]) { hub async throws in
            for (path, status) in [("/metrics", 200), ("/health/live", 200), ("/", 404), ("/events/a", 404)] {
                #expect(try await TestResponse.to("GET", path, port: hub.metricsPort).status == status, "\(path)")
            }
            #expect(try await hub.request("GET", "/metrics").status == 404)
        }
    }

    @Test("Active subscriptions are listed only if the settings ask for it", arguments: [true, false])
    func subscriptions(areListed: Bool) async throws {
        let environment = Self.keys.merging(areListed ? ["MARTLET_SUBSCRIPTIONS": "true"] : [:]) { $1 }
        try await RunningHub.run(environment: environment) { hub async throws in
            let token = try await Self.token(["--subscribe", "*"])
            let list = try await hub.request("GET", "/.well-known/mercure/subscriptions", headers: token)
            #expect(list.status == (areListed ? 200 : 404))
        }
    }

    @Test("A port that is in use is an error that says so")
    func portInUse() async throws {
        try await RunningHub.run { hub async throws in
            let settings = try await resolve(commandLine: ["port": "\(hub.port)", "grace": "0"])
            let services = try await HubServer(settings, logger: quiet).services()
            let group = ServiceGroup(configuration: .init(services: services, logger: quiet))
            let error = await #expect(throws: (any Error).self) { try await group.run() }
            let message = error.flatMap { BindError($0, settings: settings)?.description }
            #expect(message?.hasPrefix("port \(hub.port) on 127.0.0.1 is in use") == true)
        }
    }

    @Test("A log that cannot be opened ends the hub before it listens")
    func unusableLog() async throws {
        let settings = try await resolve(commandLine: ["port": "0", "log": "sqlite:/nowhere/hub.db"])
        let log = RecordingLog()
        let server = try await HubServer(settings, logger: log.logger)
        await #expect(throws: (any Error).self) { try await server.run() }
        #expect(!log.lines.contains { $0.contains("Open http://") })
    }
}

@Suite("The demo")
struct DemoTests {
    @Test("The page is at the root")
    func page() async throws {
        try await RunningHub.run { hub async throws in
            let page = try await hub.request("GET", "/")
            #expect(page.header("content-type") == "text/html; charset=utf-8")
            #expect(page.header("link")?.contains("rel=\"mercure\"") == true)
            #expect(page.body.contains("</html>"))
        }
    }

    @Test("The stream of ticks counts from 0 for each connection")
    func ticks() async throws {
        try await RunningHub.run { hub async throws in
            let pattern = /Time: \d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{7}Z, Count: (\d+)/
            for _ in 0..<2 {
                let source = try await TestEventSource(port: hub.port, path: "/api/events/stream")
                for count in 0..<2 {
                    let data = try #require(try await source.next()?.data)
                    #expect(try pattern.wholeMatch(in: data)?.1 == "\(count)")
                }
                try await source.connection.close()
            }
        }
    }

    #if os(Linux)
    @Test("With its option, the hub publishes the metrics of this machine")
    func metrics() async throws {
        try await RunningHub.run(["demo": "true"]) { hub async throws in
            let source = try await TestEventSource(port: hub.port, path: "/events/system/metrics")
            #expect(try await source.next()?.data?.contains("\"cores\":") == true)
            try await source.connection.close()
        }
    }
    #endif
}
