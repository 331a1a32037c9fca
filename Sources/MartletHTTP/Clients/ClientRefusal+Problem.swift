// SPDX-License-Identifier: Apache-2.0

import HTTPTypes
package import Logging
package import Martlet
import NIOCore

extension Problem {
    /// The answer to a request of a client that is above a limit: 429, which names the limit.
    package init(_ refusal: ClientRefusal) {
        let (seconds, rest) = (refusal.wait ?? ConnectionLimit.retryAfter).components
        // A whole number that is never too short.
        let wait = max(1, rest > 0 ? seconds + 1 : seconds)
        self.init(.tooManyRequests, Self.detail(of: refusal), headers: [.retryAfter: "\(wait)"])
        limit = refusal.limit.rawValue
    }

    private static func detail(of refusal: ClientRefusal) -> String {
        let most = refusal.most
        return switch refusal.limit {
        case .connectionsPerAddress:
            "Your address has \(most) connections, which is the most. Close one, or send more requests on each."
        case .streamsPerPrincipal: "You have \(most) streams, which is the most. Close one."
        case .streamsPerAddress: "Your address has \(most) streams, which is the most. Close one."
        case .publishRatePerPrincipal: "You may publish \(most) events a second. Wait as long as Retry-After says."
        case .publishRatePerAddress:
            "Your address may publish \(most) events a second. Wait as long as Retry-After says."
        case .publishBytesPerPrincipal: "You may publish \(most) bytes a second. Wait as long as Retry-After says."
        case .publishBytesPerAddress:
            "Your address may publish \(most) bytes a second. Wait as long as Retry-After says."
        }
    }
}

extension HubRequest {
    /// The client that the limits of clients count the request for.
    func client(_ grant: Grant) -> ClientIdentity {
        ClientIdentity(principal: grant.principal, address: remoteAddress)
    }
}

extension Hub {
    /// Publishes events of a client, within its limits.
    ///
    /// - Throws: ``Problem`` of status 429 if the client publishes too much; what the log throws becomes 503.
    package func publish(
        _ events: [Event], once key: String?, for request: HubRequest, _ grant: Grant, _ logger: Logger
    ) async throws -> [String] {
        try spend(on: events, by: request.client(grant))
        return try await unlessUnavailable(logger) {
            try await publish(contentsOf: events, once: key, in: grant.keyScope)
        }
    }

    func spend(on events: [Event], by client: ClientIdentity) throws(Problem) {
        do { try clients.spend(on: events, by: client) } catch {
            clientRefused(error)
            throw Problem(error)
        }
    }
}

/// Slows down a live upload to what its client may publish.
struct UploadPace {
    let hub: Hub
    let client: ClientIdentity

    /// How long to wait before looking whether the upload goes on.
    private static let pause = Duration.seconds(1)

    /// The most events that are published at once.
    var mostEvents: Int { hub.clients.smallestBurst ?? .max }

    /// Returns when the client may publish the events.
    func wait(for events: [Event]) async throws {
        while true {
            do {
                return try hub.clients.spend(on: events, by: client)
            } catch {
                guard !hub.isDraining else { throw Problem.uploadOver(isStopping: true) }
                guard Connection.current?.channel.isActive != false else {
                    throw Problem(.badRequest, "The connection ended inside the request.")
                }
                try await Task.sleep(for: min(error.wait ?? Self.pause, Self.pause))
            }
        }
    }
}

/// What a stream holds for as long as it lasts.
final class StreamHold: Sendable {
    private let companion: (any StreamCompanion)?
    private let places: [ClientPlace]

    fileprivate init(_ companion: (any StreamCompanion)?, _ places: [ClientPlace]) {
        self.companion = companion
        self.places = places
    }
}

extension Hub {
    /// The terms of the stream that answers a request. The stream counts for its client from here on.
    ///
    /// - Throws: ``/Martlet/ClientRefusal``.
    func terms(
        of grant: Grant, for request: HubRequest, companion: (any StreamCompanion)? = nil
    ) throws -> LeaseTerms {
        let name = try request.streamName
        // The head of a stream is no stream.
        guard request.method != .head else { return grant.terms(name: name, companion: companion) }
        var places = try clients.openStream(of: request.client(grant))
        if let place = request.connectionPlace { places.append(place) }
        guard !places.isEmpty else { return grant.terms(name: name, companion: companion) }
        return grant.terms(name: name, companion: StreamHold(companion, places))
    }
}
