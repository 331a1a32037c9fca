// SPDX-License-Identifier: Apache-2.0

import HTTPTypes
package import Logging
package import Martlet
public import NIOCore
public import NIOPosix
import Synchronization

/// Has the threads that write to the subscribers of a hub accept its connections, too, and answer plain requests to its
/// routes at once: subscribing and publishing cost a fraction then. Everything else goes on to the server as it is, with
/// all its bytes: other routes, refusals, and requests that are written in an unusual way.
///
///     let door = FrontDoor()
///     router.addHub(hub, frontDoor: door)
///     let server = HTTPServerBuilder.eventStreams(of: hub, frontDoor: door)
///
/// A request that the door answers is judged by the same ``Access``, within the same limits, and has the same answer and
/// effect. **But middleware of the router does not see it**; leave the door out where middleware has to. Routes whose access
/// needs the context of the router are left to the server.
///
/// It works on Linux, for HTTP/1.1 and HTTP/1.0 without TLS. Elsewhere, and while the hub does not run, the server accepts
/// all connections. Give each server a door of its own.
public final class FrontDoor: Sendable {
    private let routes = Mutex<[any DoorRoute]>([])
    private let server = Mutex<EventStreamChannel?>(nil)
    private let isOpened = Once()
    let crossOrigin: CrossOriginRules?
    let eventLoops: any EventLoopGroup
    private let onlyLocalHosts: Bool
    /// Whether what goes on to the server is answered on the event loops, as by ``EventLoopService``.
    let answersOnEventLoops: Bool

    /// - Parameters:
    ///   - origins: The origins whose pages may use the routes, as for ``CrossOriginMiddleware``. Leave them out if the
    ///     router has no such middleware.
    ///   - eventLoops: Where the connections live that go on to the server. Pass those of the application.
    public convenience init(
        allowing origins: [OriginPattern] = [], eventLoops: any EventLoopGroup = MultiThreadedEventLoopGroup.singleton
    ) {
        self.init(allowing: origins, eventLoops: eventLoops, answersOnEventLoops: false)
    }

    /// - Parameter onlyLocalHosts: Whether requests that name another machine in `Host` go on to the server, as behind
    ///   ``LocalHostMiddleware``.
    package init(
        allowing origins: [OriginPattern], eventLoops: any EventLoopGroup, answersOnEventLoops: Bool,
        onlyLocalHosts: Bool = false
    ) {
        self.onlyLocalHosts = onlyLocalHosts
        crossOrigin = origins.isEmpty ? nil : CrossOriginRules(allowed: origins)
        self.eventLoops = eventLoops
        self.answersOnEventLoops = answersOnEventLoops
    }

    package func add(_ route: any DoorRoute) { routes.withLock { $0.append(route) } }

    func serve(_ server: EventStreamChannel) { self.server.withLock { $0 = server } }

    /// Has the hub accept the connections of a listener, once it runs. The first call counts; without one, the first
    /// connection opens the door.
    package func open(on listener: any Channel, logger: Logger) {
        #if os(Linux)
        guard isOpened.isFirst(), let server = server.withLock({ $0 }) else { return }
        let desk = DoorDesk(
            routes: routes.withLock { $0 }, crossOrigin: crossOrigin, onlyLocalHosts: onlyLocalHosts,
            proxies: server.limit.proxies)
        let keeper = HubDoorKeeper(desk, server, on: self, logger: logger)
        listener.closeFuture.whenComplete { _ in keeper.listenerClosed() }
        Task { await keeper.open(on: listener) }
        #endif
    }
}

/// A route of a hub that a front door may answer.
package protocol DoorRoute: Sendable {
    /// How the paths of the route begin.
    var prefix: StaticString { get }

    /// `nil`: the server answers the request.
    ///
    /// - Parameters:
    ///   - body: Valid during the call.
    ///   - reply: Makes the bytes of the answer.
    func doorRequest(
        for request: HubRequest, body: UnsafeRawBufferPointer, reply: DoorReply
    ) -> (any DoorRequest)?
}

extension DoorRoute {
    fileprivate func isRoute(of request: HubRequest) -> Bool {
        prefix.withUTF8Buffer { request.path.utf8.starts(with: $0) }
    }
}

/// Finds the route of a plain request.
struct DoorDesk: Sendable {
    private let routes: [any DoorRoute]
    private let prefixes: [StaticString]
    private let crossOrigin: CrossOriginRules?
    private let onlyLocalHosts: Bool
    private let proxies: TrustedProxies

    init(
        routes: [any DoorRoute], crossOrigin: CrossOriginRules? = nil, onlyLocalHosts: Bool = false,
        proxies: TrustedProxies = .none
    ) {
        self.onlyLocalHosts = onlyLocalHosts
        self.proxies = proxies
        self.routes = routes
        self.crossOrigin = crossOrigin
        prefixes = routes.map(\.prefix)
    }

    func read(_ bytes: UnsafeRawBufferPointer, from peer: ConnectionPeer) -> DoorReading {
        switch PlainRequest.read(bytes, prefixes: prefixes) {
        case .incomplete: return .incomplete
        case .other: return .other
        case .complete(let plain, let length):
            let isExpected = !onlyLocalHosts || (try? LocalOnly.checkHost(plain.authority, advice: "")) != nil
            guard isExpected else { return .other }
            var request = HubRequest(
                method: plain.method, target: plain.target, authority: plain.authority, headers: plain.headers,
                remoteAddress: proxies.client(of: plain.headers, behind: peer.address))
            request.connectionPlace = peer.place
            let reply = DoorReply(
                extra: crossOrigin?.headers(for: request.headers[.origin]) ?? [:], closes: plain.closes,
                isHTTP10: plain.isHTTP10)
            for route in routes where route.isRoute(of: request) {
                if let answer = route.doorRequest(for: request, body: plain.body, reply: reply) {
                    return .request(answer, length: length)
                }
            }
            return .other
        }
    }
}

/// Thrown where the server has to answer a request.
struct NotAtTheDoor: Error {}
