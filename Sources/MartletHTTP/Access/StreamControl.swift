// SPDX-License-Identifier: Apache-2.0

import Foundation
import HTTPTypes
public import Hummingbird
public import Martlet

extension RouterMethods where Context: ChannelRequestContext {
    /// Adds what controls the streams of a hub whose clients identify themselves.
    ///
    /// - `POST /tickets?topic=…` answers a ticket for these topics (``Tickets``), as JSON: `ticket`, and `expires` in seconds.
    /// - `POST /streams/{name}` has the caller's open streams of that name (`?stream=…` when they were opened) end when his
    ///   present credentials do. Streams that were opened with other rights end, and their clients come back with the
    ///   present ones. The answer is JSON: how many were `renewed` and `ended`; 404 where there are none.
    /// - `POST /revoke?principal=…` ends all streams of a principal at once and takes back his tickets, on this node. Whoever
    ///   may publish to every topic (`*`) may do so. The answer is JSON: how many streams `ended`.
    ///
    /// - Parameters:
    ///   - access: The same as for the hub, without tickets.
    ///   - tickets: The same that the access of the hub accepts.
    ///   - forget: Forgets what is remembered of the rights of a principal who is revoked.
    @discardableResult
    public func addStreamControl(
        of hub: Hub, access: Access<Context>, tickets: Tickets,
        onRevocation forget: @escaping @Sendable (String) -> Void = { _ in }
    ) -> Self {
        let control = StreamControl<Context>(hub: hub, access: access, tickets: tickets, forget: forget)
        on("tickets", answering: [.post: control.issueTicket])
        on("streams/{name}", answering: [.post: control.renew])
        on("revoke", answering: [.post: control.revoke])
        return self
    }
}

private struct StreamControl<Context: ChannelRequestContext>: Sendable {
    let hub: Hub
    let access: Access<Context>
    let tickets: Tickets
    let forget: @Sendable (String) -> Void

    func issueTicket(_ request: Request, context: Context) async throws -> Response {
        let grant = try await access.grant(for: request, context: context, to: .subscribe)
        let topics = Set(try RequestTarget(request).query.values("topic").map { TopicSelector($0) })
        try hub.configuration.limits.check(Selection(selectors: topics))
        let ticket = try tickets.issue(grant, for: topics)
        return .json(#"{"ticket":"\#(ticket)","expires":\#(tickets.lifetime.components.seconds)}"#)
    }

    func renew(_ request: Request, context: Context) async throws -> Response {
        let grant = try await access.grant(for: request, context: context, to: .subscribe)
        guard let principal = grant.principal else {
            throw Problem(.forbidden, "Only who has a name (the claim sub of a token) has streams that can be renewed.")
        }
        // The router gives the segment as the client wrote it; the name was in a query, and decoded there.
        let name = try RequestTarget.decode(try context.parameters.require("name").utf8, field: "stream")
        try StreamName.check(name)
        let count = hub.renew(
            principal, name: name, grants: grant.subscribe, until: grant.instantOfEnd,
            isGranted: { (try? grant.checkSubscribing(to: $0)) != nil })
        guard count.renewed + count.ended > 0 else {
            throw Problem(.notFound, "There is no open stream of this name here.", field: "stream")
        }
        return .json(#"{"renewed":\#(count.renewed),"ended":\#(count.ended)}"#)
    }

    func revoke(_ request: Request, context: Context) async throws -> Response {
        let grant = try await access.grant(for: request, context: context, to: .publish)
        guard grant.publish.contains(.every) else {
            throw Problem(.forbidden, "Only who may publish to every topic (*) may revoke streams.")
        }
        guard let principal = try RequestTarget(request).query.values("principal").first, !principal.isEmpty else {
            throw Problem(.badRequest, "Name whose streams are to end: ?principal=alice.", field: "principal")
        }
        tickets.revoke(principal)
        forget(principal)
        return .json(#"{"ended":\#(hub.revoke(principal))}"#)
    }
}

extension Response {
    fileprivate static func json(_ text: String) -> Response {
        Response(
            status: .ok, headers: [.contentType: "application/json", .cacheControl: "no-store"],
            body: ResponseBody(byteBuffer: ByteBuffer(string: text + "\n")))
    }
}
