// SPDX-License-Identifier: Apache-2.0

import HTTPTypes
public import Hummingbird
public import Martlet
public import MartletHTTP

extension RouterMethods where Context: ChannelRequestContext {
    /// Adds the routes of the Mercure protocol, version 0 (draft-dunglas-mercure-07).
    ///
    /// - `GET /.well-known/mercure?topic=…` subscribes, `POST /.well-known/mercure` publishes a form.
    ///   Beyond the protocol, the first takes `since` and the second an `Idempotency-Key`, as the routes of `addHub` do.
    /// - With ``MercureOptions/activeSubscriptions``, `GET /.well-known/mercure/subscriptions`, with `/{topic}` and
    ///   `/{subscriber}` behind it, answers who is subscribed by this protocol on this node, and with an `exchange` on all.
    ///
    /// Where a right is missing the answer is 401, as the protocol has it. Everybody whom `access` does not refuse may
    /// subscribe to whatever he likes and receives what is public, if his grant says ``MartletHTTP/Grant/seesAllPublic``.
    /// The server should be built with `HTTPServerBuilder.eventStreams(of:)`.
    ///
    /// - Parameters:
    ///   - hub: The hub, which must run as a service of the application or around it. It may have other routes too.
    ///   - access: Who may subscribe and publish. It finds the token: in a header, a cookie, or the parameter
    ///     `authorization`.
    ///   - exchange: Tells other nodes of active subscriptions, and of theirs. It must be of the same hub and run as a
    ///     service. `nil`: there are no other nodes.
    @discardableResult
    public func addMercure(
        of hub: Hub, access: Access<Context>, options: MercureOptions = MercureOptions(),
        exchange: SubscriptionExchange? = nil
    ) -> Self {
        let active = options.activeSubscriptions ? exchange?.active ?? ActiveSubscriptions(of: hub) : nil
        let subscribe = MercureSubscribeRoute<Context>(hub: hub, access: access, active: active)
        let publish = MercurePublishRoute<Context>(
            hub: hub, access: access, maximumBodyBytes: options.maximumBodyBytes)
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
