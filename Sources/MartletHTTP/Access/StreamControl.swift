// SPDX-License-Identifier: Apache-2.0

import HTTPTypes
public import Hummingbird
public import Martlet

extension RouterMethods where Context: EventStreamRequestContext {
    /// Adds routes that control the streams of clients that identify themselves.
    ///
    /// - `POST /tickets?topic=…` issues a ticket for these topics (``Tickets``). The answer is JSON: `ticket`, and
    ///   `expires` in seconds.
    /// - `POST /streams/{name}` renews the open streams of the caller that have this name (`?stream=…`): they end when the
    ///   present credentials do. Streams that were opened with other rights end, and their clients come back with the
    ///   present rights. The answer is JSON: how many streams were `renewed` and `ended`. It is 404 if there are none.
    /// - `POST /revoke?principal=…` ends all streams of a principal at once, and revokes its tickets. The caller must be granted
    ///   to publish to every topic (`*`). The answer is JSON: how many streams `ended`.
    ///
    /// With an exchange, the other nodes do the same soon. The answer counts the streams of this node, and says how many
    /// other nodes were `told`.
    ///
    /// - Parameters:
    ///   - access: The access of the hub, without tickets.
    ///   - tickets: The tickets that the access of the hub accepts.
    ///   - exchange: Tells the other nodes; `nil`: there are none.
    ///   - forget: Forgets cached rights of a principal that is revoked.
    @discardableResult
    public func addStreamControl(
        of hub: Hub, access: Access<Context>, tickets: Tickets, exchange: RightsExchange? = nil,
        onRevocation forget: @escaping @Sendable (String) -> Void = { _ in }
    ) -> Self {
        let control = StreamControl<Context>(
            hub: hub, access: access, tickets: tickets, exchange: exchange, forget: forget)
        on("tickets", answering: [.post: control.issueTicket])
        on("streams/{name}", answering: [.post: control.renew])
        on("revoke", answering: [.post: control.revoke])
        return self
    }
}

private struct StreamControl<Context: EventStreamRequestContext>: Sendable {
    let hub: Hub
    let access: Access<Context>
    let tickets: Tickets
    let exchange: RightsExchange?
    let forget: @Sendable (String) -> Void

    func issueTicket(_ request: Request, context: Context) async throws -> Response {
        let request = HubRequest(request, on: context.channel)
        let grant = try await access.grant(for: request, context: context, to: .subscribe)
        let topics = Set(
            try request.query.values("topic").map { text in
                let selector = TopicSelector(text)
                // A text that no topic can have says why.
                return selector.isExact ? TopicSelector(try Topic(text)) : selector
            })
        try hub.configuration.limits.check(Selection(selectors: topics))
        let ticket = try await unlessUnavailable(context.logger) { try await tickets.issue(grant, for: topics) }
        return .json(#"{"ticket":"\#(ticket)","expires":\#(tickets.lifetime.components.seconds)}"#)
    }

    func renew(_ request: Request, context: Context) async throws -> Response {
        let request = HubRequest(request, on: context.channel)
        let grant = try await access.grant(for: request, context: context, to: .subscribe)
        guard grant.principal != nil else {
            throw Problem(.forbidden, "Only the streams of a principal (the claim sub of a token) can be renewed.")
        }
        // The router gives the segment as the client wrote it; the name was in a query, and decoded there.
        let name = try FormFields.decode(try context.parameters.require("name").utf8, field: "stream")
        try HubRequest.checkStreamName(name)
        let count = hub.renew(name, grant)
        exchange?.renew(name, grant)
        let told = exchange?.otherNodes ?? 0
        guard count.renewed + count.ended + told > 0 else {
            throw Problem(.notFound, "There is no open stream of this name here.", field: "stream")
        }
        return .json(#"{"renewed":\#(count.renewed),"ended":\#(count.ended)\#(Self.text(told))}"#)
    }

    func revoke(_ request: Request, context: Context) async throws -> Response {
        let request = HubRequest(request, on: context.channel)
        let grant = try await access.grant(for: request, context: context, to: .publish)
        guard grant.publish.contains(.every) else {
            throw Problem(.forbidden, "Revoking streams needs the right to publish to every topic (*).")
        }
        let principals = try request.query.values("principal")
        guard principals.count == 1, let principal = principals.first, !principal.isEmpty else {
            throw Problem(
                .badRequest, "Name the one principal whose streams are to end: ?principal=alice.", field: "principal")
        }
        tickets.revoke(principal)
        forget(principal)
        exchange?.revoke(principal)
        return .json(#"{"ended":\#(hub.revoke(principal))\#(Self.text(exchange?.otherNodes ?? 0))}"#)
    }

    /// How many nodes were told, as a member of the answer where there are others.
    private static func text(_ told: Int) -> String { told > 0 ? #","told":\#(told)"# : "" }
}

extension Response {
    static func json(_ text: String) -> Response {
        Response(
            status: .ok, headers: [.contentType: "application/json", .cacheControl: "no-store"],
            body: ResponseBody(byteBuffer: ByteBuffer(string: text + "\n")))
    }
}
