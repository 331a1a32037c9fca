// SPDX-License-Identifier: Apache-2.0

import Hummingbird
import HummingbirdTesting
import Logging
import Martlet
import MartletAuth
import MartletHTTP
import MartletMercure
import MartletTesting
import MartletValues
import NIOCore
import ServiceLifecycle
import TestSupport
import Testing

// MARK: Coming from ASP.NET Core

struct Order: Codable { var status: String }
struct User { var name: String }

struct UserContext: EventStreamRequestContext {
    var coreContext: CoreRequestContextStorage
    let channel: any Channel
    var user: User?

    init(source: ApplicationRequestContextSource) {
        coreContext = CoreRequestContextStorage(source: source)
        channel = source.channel
    }
}

struct Authentication: RouterMiddleware {
    func handle(
        _ request: Request, context: UserContext, next: (Request, UserContext) async throws -> Response
    ) async throws -> Response {
        var context = context
        context.user = request.cookies["user"].map { User(name: $0.value) }
        return try await next(request, context)
    }
}

struct PriceTicker: Service {
    let hub: Hub

    func run() async throws {
        for await price in prices().cancelOnGracefulShutdown() {
            try await hub.publish(price, to: "prices", type: "price")
        }
    }
}

private func prices() -> AsyncStream<Double> {
    AsyncStream { continuation in
        continuation.yield(9.5)
        continuation.onTermination = { _ in }
    }
}

@Suite(.timeLimit(.minutes(10))) struct HTTPGuideTests {
    private func onLive<Context: EventStreamRequestContext>(
        _ hub: Hub, _ router: Router<Context>, services: [any Service] = [],
        _ body: @Sendable @escaping (any TestClientProtocol) async throws -> Void
    ) async throws where Context.Source == ApplicationRequestContextSource {
        let application = Application(
            router: router, server: .eventStreams(of: hub), services: [hub] + services, logger: quiet)
        try await application.test(.live, body)
    }

    @Test("The endpoint of *Coming from ASP.NET Core and SignalR* streams to those whom the policy allows")
    func endpoint() async throws {
        let hub = quickHub()
        let router = Router(context: UserContext.self)
        router.add(middleware: Authentication())
        router.events("users/{name}/orders", from: hub) { request, context in
            guard let user = context.user else { throw HTTPError(.unauthorized) }
            guard try context.parameters.require("name") == user.name else { throw HTTPError(.forbidden) }
            let topic = try Topic("users/\(user.name)/orders")
            return HubStream(topic, grant: Grant(principal: user.name, subscribe: [TopicSelector(topic)]))
        }
        router.get("prices") { request, context in ServerSentEvents(prices()) }
        router.events("prices/live", from: hub) { _, _ in HubStream("prices") }
        try await onLive(hub, router, services: [PriceTicker(hub: hub)]) { client in
            try await hub.publish(
                Event(topic: "users/alice/orders", data: "packed", isPrivate: true))
            let order = Order(status: "shipped")
            try await hub.publish(order, to: "users/alice/orders", type: "status")
            let path = "/users/alice/orders?lastEventID=earliest"
            var events = client.events(path, headers: ["Cookie": "user=alice"]).makeAsyncIterator()
            #expect(try await events.next()?.data == "packed")
            let second = try await events.next()
            #expect(second?.event == "status")
            for (headers, status) in [([:], 401), (["Cookie": "user=bob"], 403)] {
                await #expect(throws: TestEvents.Refused(status: status)) {
                    for try await _ in client.events(path, headers: headers) {}
                }
            }
            for try await price in client.events("/prices") {
                #expect(price.data == "9.5")
                break
            }
            for try await price in client.events("/prices/live?lastEventID=earliest") {
                #expect(price.event == "price")
                break
            }
        }
    }

    @Test("The route of *State* begins with the current value")
    func stateRoute() async throws {
        let hub = quickHub()
        let status = StateTopic<String>("shop/status", of: hub)
        let router = Router(context: BasicEventStreamRequestContext.self)
        router.events("status", from: hub) { request, context in HubStream(status) }
        try await onLive(hub, router) { client in
            try await status.set("closed")
            try await status.set("open")
            for try await event in client.events("/status") {
                #expect(event.data == #""open""#)
                break
            }
        }
    }

    // MARK: Securing streams

    @Test("The access of *Securing streams* gives users their own private events, and revoking ends their streams")
    func access() async throws {
        let hub = quickHub()
        let router = Router(context: UserContext.self)
        router.add(middleware: Authentication())
        let access = Access<UserContext> { request, context, purpose in
            guard let user = context.user else { throw Problem(.unauthorized, "Log in.") }
            guard purpose == .subscribe else { throw Problem(.forbidden, "Only the application publishes.") }
            let own = TopicSelector(try Topic("users/\(user.name)"))
            return Grant(principal: user.name, subscribe: [own])
        }
        router.addHub(hub, access: access)
        try await onLive(hub, router) { client in
            let headers = ["Cookie": "user=alice"]
            var events = client.events("/events/users/alice?lastEventID=earliest", headers: headers)
                .makeAsyncIterator()
            try await hub.publish(Event(topic: "users/alice", data: "for your eyes only", isPrivate: true))
            #expect(try await events.next()?.data == "for your eyes only")
            await #expect(throws: TestEvents.Refused(status: 403)) {
                for try await _ in client.events("/events/users/bob", headers: headers) {}
            }
            let user = User(name: "alice")
            hub.revoke(user.name)
            #expect(try await events.next() == nil)
        }
    }

    @Test("The tokens of *Securing streams* open streams, and the Mercure routes share the hub")
    func tokens() async throws {
        let hub = quickHub()
        let router = Router(context: BasicEventStreamRequestContext.self)
        let secret = "a secret of 32 bytes or more, please"
        let keys = try await TokenKeys(text: secret)
        let verifier = TokenVerifier(keys: keys, audience: .any)
        let authenticator = TokenAuthenticator(subscriber: verifier, publisher: verifier)
        let access = Access<BasicEventStreamRequestContext>(
            authenticator, MercureClaimPolicy(allowsAnonymous: false))
        router.addHub(hub, access: access)

        var options = MercureOptions()
        options.activeSubscriptions = true
        router.addMercure(of: hub, access: access, options: options)

        let signer = try await TokenSigner(text: secret)
        let token = try signer.token(
            claiming: .object([
                "sub": .string("alice"),
                "mercure": .object(["subscribe": .array([.string("users/alice")])]),
            ]))
        try await onLive(hub, router) { client in
            try await hub.publish(Event(topic: "users/alice", data: "hello", isPrivate: true))
            let headers = ["Authorization": "Bearer \(token)"]
            for path in ["/events/users/alice?", "/.well-known/mercure?topic=users/alice&"] {
                for try await event in client.events(path + "lastEventID=earliest", headers: headers)
                where event.data != nil {
                    #expect(event.data == "hello")
                    break
                }
            }
            await #expect(throws: TestEvents.Refused(status: 401)) {
                for try await _ in client.events("/events/users/alice") {}
            }
        }
    }

    // Compiled only: it needs an identity provider.
    func identityProvider(_ router: Router<BasicEventStreamRequestContext>, _ hub: Hub, _ logger: Logger) throws {
        let keys = try TokenKeys(jwks: "https://login.example.com/.well-known/jwks.json", logger: logger)
        let verifier = TokenVerifier(
            keys: keys, audience: .oneOf(["https://hub.example.com"]),
            issuer: .oneOf(["https://login.example.com/"]))
        let authenticator = TokenAuthenticator(subscriber: verifier, publisher: verifier)
        router.addHub(hub, access: Access(authenticator, MercureClaimPolicy(allowsAnonymous: false)))
    }

    // MARK: Testing streams

    @Test("A client receives what was published, and resumes after it")
    func resumesAfterAnEvent() async throws {
        let hub = Hub()
        let router = Router(context: BasicEventStreamRequestContext.self)
        router.events("orders/{id}/events", from: hub) { request, context in
            HubStream(try Topic("orders/\(context.parameters.require("id"))"))
        }
        let application = Application(router: router, services: [hub])
        try await application.test(.live) { client in
            let id = try await hub.publish("packed", to: "orders/42")
            try await hub.publish("shipped", to: "orders/42")
            for try await event in client.events("/orders/42/events", lastEventID: id) {
                #expect(event.data == "shipped")
                break
            }
        }
    }

    @Test("`since` leaves out what is older, by the clock of the log")
    func sinceLeavesOut() async throws {
        let clock = ManualClock()
        let log = MemoryLog(clock: clock)
        try await Hub(log: log, logger: quiet).whileRunning { hub in
            try await hub.publish("old", to: "orders/42")
            clock.advance(by: .seconds(25 * 60 * 60))
            try await hub.publish("new", to: "orders/42")
            try await hub.subscribe(to: "orders/42", since: .seconds(60)) { events in
                for try await event in events {
                    #expect(event.data == "new")
                    break
                }
            }
        }
    }
}
