// SPDX-License-Identifier: Apache-2.0

import HTTPTypes
public import Hummingbird
public import Martlet
public import MartletHTTP

extension RouterMethods where Context: EventStreamRequestContext {
    /// Adds the routes of the Mercure protocol, version 0 (draft-dunglas-mercure-07).
    ///
    /// - `GET /.well-known/mercure?topic=…` subscribes, `POST /.well-known/mercure` publishes a form.
    ///   Beyond the protocol, the first takes `since` and the second an `Idempotency-Key`, as the routes of `addHub` do.
    /// - With ``MercureOptions/activeSubscriptions``, `GET /.well-known/mercure/subscriptions`, optionally followed by
    ///   `/{topic}` and `/{subscriber}`, lists the subscribers of this protocol: on this node, or with an `exchange` on all
    ///   nodes.
    ///
    /// If a right is missing, the answer is 401, as in the protocol. A client whose grant has
    /// ``/MartletHTTP/Grant/seesAllPublic`` may subscribe to all topics, and receives public events. Build the server
    /// with `HTTPServerBuilder.eventStreams(of:)`.
    ///
    /// - Parameters:
    ///   - hub: The hub, which must run as a service of the application or around it. It may have other routes, too.
    ///   - access: Decides what a client may do. It finds the token: in a header, a cookie, or the parameter `authorization`.
    ///   - exchange: Exchanges active subscriptions with other nodes. It must belong to the same hub and run as a service.
    ///     `nil`: there are no other nodes.
    ///   - frontDoor: Answers plain requests to the routes in place of the router.
    @discardableResult
    public func addMercure(
        of hub: Hub, access: Access<Context>, options: MercureOptions = MercureOptions(),
        exchange: SubscriptionExchange? = nil, frontDoor: FrontDoor? = nil
    ) -> Self {
        let active = options.activeSubscriptions ? exchange?.active ?? ActiveSubscriptions(of: hub) : nil
        let subscribe = MercureSubscribeRoute<Context>(hub: hub, access: access, active: active)
        let publish = MercurePublishRoute<Context>(
            hub: hub, access: access, maximumBodyBytes: options.maximumBodyBytes, logger: hub.logger)
        frontDoor?.add(subscribe)
        frontDoor?.add(publish)
        on(
            ".well-known/mercure",
            answering: [.get: subscribe.respond, .head: subscribe.respond, .post: publish.respond],
            streaming: [.get, .head])
        guard let active else { return self }
        let subscriptions = SubscriptionsRoute<Context>(
            hub: hub, access: access, active: active, maximumListBytes: options.maximumListBytes)
        for path: RouterPath in [".well-known/mercure/subscriptions", ".well-known/mercure/subscriptions/**"] {
            on(path, answering: [.get: subscriptions.respond])
        }
        return self
    }
}

/// How a hub speaks the Mercure protocol. Other bounds are in the limits of the hub (``/Martlet/Limits``).
public struct MercureOptions: Hashable, Sendable {
    /// Whether the hub announces and lists active subscriptions, to clients that have the right to see them.
    public var activeSubscriptions = false
    /// The largest body of a publish, in bytes. A form needs up to three bytes for each byte of data.
    public var maximumBodyBytes = 1024 * 1024

    /// The largest list of subscriptions, in bytes. A request for a larger one is refused with 503.
    public var maximumListBytes = 32 * 1024 * 1024

    public init() {}
}
