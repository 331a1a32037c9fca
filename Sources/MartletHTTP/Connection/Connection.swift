// SPDX-License-Identifier: Apache-2.0

import HTTPTypes
import HummingbirdCore
import MartletSupport
import NIOCore
import NIOHTTPTypes
import Synchronization

/// A connection of a server for event streams, as the tasks that answer its requests know it.
struct Connection: ServerChildChannelValue {
    typealias Requests = NIOAsyncChannel<HTTPRequestPart, HTTPResponsePart>

    /// The connection of the request that the task answers; `nil` in other servers.
    @TaskLocal static var current: Connection?

    /// Whether the task answers a request of a connection above the limit. Event streams then tell the client when to come
    /// back, and the other routes of a hub answer 503. The connection ends with the answer.
    static var isAboveLimit: Bool { current?.origin.isAboveLimit ?? false }

    /// Throws 503 above the limit.
    static func checkLimit() throws(Problem) {
        guard let origin = current?.origin, origin.isAboveLimit else { return }
        if let refusal = origin.peer?.refusal { throw Problem(refusal) }
        throw Problem(
            .serviceUnavailable, "The server has all the connections it may have. Try again later.",
            headers: [.retryAfter: "\(ConnectionLimit.retryAfter.components.seconds)"])
    }

    let origin: ConnectionOrigin
    let proxies: TrustedProxies
    let handler: NIOLoopBound<ConnectionHandler>
    private let owner: Owner

    init(
        _ requests: Requests, _ origin: ConnectionOrigin, _ proxies: TrustedProxies,
        handler: NIOLoopBound<ConnectionHandler>
    ) {
        owner = Owner(requests)
        self.origin = origin
        self.proxies = proxies
        self.handler = handler
    }

    var channel: any Channel { owner.requests.channel }

    /// The requests, for the one task that answers them and closes the connection.
    func takeRequests() -> Requests {
        owner.isTaken.store(true, ordering: .relaxed)
        return owner.requests
    }

    /// Closes a connection that no task answers, because its server was cancelled when it came. SwiftNIO stops the program
    /// otherwise.
    private final class Owner: Sendable {
        let requests: Requests
        let isTaken = Atomic(false)

        init(_ requests: Requests) { self.requests = requests }

        deinit {
            guard !isTaken.load(ordering: .relaxed) else { return }
            Task { [requests] in try? await requests.executeThenClose { _, _ in } }
        }
    }

    /// Asks the client for the body, if it waits for that.
    func askForBody() { onEventLoop { $0.askForBody() } }

    /// Lets the client take its time for the body of the request that is being answered.
    func allowPauses() { onEventLoop { $0.allowPauses() } }

    private func onEventLoop(_ body: @escaping @Sendable (ConnectionHandler) -> Void) {
        if channel.eventLoop.inEventLoop {
            body(handler.value)
        } else {
            channel.eventLoop.execute { [handler] in body(handler.value) }
        }
    }
}

extension Request {
    /// The same request. The client is asked for its body when the body is first read, and not if the answer comes first.
    func asking(_ connection: Connection?) -> Request {
        guard let connection, headers.contains(.expect) else { return self }
        var request = self
        request.body = RequestBody(asyncSequence: AskedBody(base: body, connection: connection))
        return request
    }
}

private struct AskedBody: AsyncSequence, Sendable {
    typealias Element = ByteBuffer

    let base: RequestBody
    let connection: Connection

    func makeAsyncIterator() -> Iterator { Iterator(base: base.makeAsyncIterator(), connection: connection) }

    struct Iterator: AsyncIteratorProtocol {
        var base: RequestBody.AsyncIterator
        var connection: Connection?

        mutating func next() async throws -> ByteBuffer? {
            connection?.askForBody()
            connection = nil
            return try await base.next()
        }
    }
}
