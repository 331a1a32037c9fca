// SPDX-License-Identifier: Apache-2.0

import HTTPTypes
import Hummingbird
import Martlet
import MartletHTTP

/// Lists active subscriptions, for clients that may receive the private events of the topic that the request path is.
struct SubscriptionsRoute<Context: EventStreamRequestContext>: Sendable {
    let hub: Hub
    let access: Access<Context>
    let active: ActiveSubscriptions
    let maximumListBytes: Int

    func respond(to request: Request, context: Context) async throws -> Response {
        let request = HubRequest(request, on: context.channel)
        let grant = try await access.mercureGrant(for: request, context: context, to: .subscribe)
        guard let path = SubscriptionPath(request.path) else {
            throw Problem(
                .notFound, "Ask for \(SubscriptionPath.root), optionally followed by /{topic} and /{subscriber}.")
        }
        guard [path.text, String(request.path)].contains(where: grant.lets(read:)) else {
            throw Problem(.unauthorized, "Reading \(path.text) is not granted.", field: "topic").unauthorized
        }
        let document = try await document(at: path)
        let tag = EntityTag.make(of: document)
        var headers: HTTPFields = [.eTag: tag, .cacheControl: "private, no-cache"]
        if let tags = request.headers[.ifNoneMatch], EntityTag.matches(tag, ifNoneMatch: tags) {
            return Response(status: .notModified, headers: headers)
        }
        headers[.contentType] = SubscriptionDocument.contentType
        return Response(status: .ok, headers: headers, body: ResponseBody(byteBuffer: ByteBuffer(string: document)))
    }

    private func document(at path: SubscriptionPath) async throws -> String {
        // Read first, so that a client that resumes from this event misses nothing that is not in the answer.
        let end = await hub.lastEventID()
        guard case .one = path else {
            return try await CPUBoundWork.run(through: maximumListBytes) { try list(path, lastEventID: end) }
        }
        guard let subscription = active.documents(at: path).first else {
            throw Problem(.notFound, "There is no such subscription here, or it has ended.")
        }
        return subscription.json(lastEventID: end)
    }

    private func list(_ path: SubscriptionPath, lastEventID: String) throws -> String {
        let subscriptions = active.documents(at: path)
        guard subscriptions.reduce(0, { $0 + $1.mostBytes }) <= maximumListBytes else {
            throw Problem(
                .serviceUnavailable,
                "There are too many subscriptions for one answer. Ask for those of one topic: \(SubscriptionPath.root)/{topic}."
            )
        }
        return SubscriptionDocument.json(subscriptions, at: path, lastEventID: lastEventID)
    }
}

extension Grant {
    /// Whether the client may receive the private events of a topic. With a ticket, the ticket must be for it, too.
    fileprivate func lets(read path: String) -> Bool {
        guard let topic = try? Topic(path) else { return false }
        return [subscribe, limitedTo].allSatisfy { $0?.contains { $0.matches(topic) } ?? true }
    }
}
