// SPDX-License-Identifier: Apache-2.0

import HTTPTypes
public import Hummingbird
import Martlet

/// Who may do what with a hub over HTTP: asked once for each request, before anything else is looked at.
///
///     router.addHub(hub, access: Access { request, context, purpose in
///         let own = try Topic("users/\(context.user.id)")
///         return Grant(principal: context.user.id, subscribe: [TopicSelector(own)])
///     })
public struct Access<Context: ChannelRequestContext>: Sendable {
    private let judge: @Sendable (Request, Context, AccessPurpose) async throws -> Grant

    /// - Parameter judge: Says what the one who asks may do; throws ``Problem`` where that is nothing.
    public init(_ judge: @escaping @Sendable (Request, Context, AccessPurpose) async throws -> Grant) {
        self.judge = judge
    }

    public init<Principal>(_ authenticator: some Authenticator<Principal>, _ policy: some AccessPolicy<Principal>) {
        self.init { request, context, purpose in
            let principal = try await authenticator.principal(of: request, to: purpose, context: context)
            return try await policy.grant(to: principal, for: purpose)
        }
    }

    /// Without credentials, clients may subscribe and receive what is public, and programs on this machine may publish,
    /// and so may web pages that this server delivered. A request must name this machine in `Host` (`localhost`,
    /// `127.0.0.1`), and the server must listen on loopback only.
    public static var local: Access {
        Access { request, context, purpose in
            try LocalOnly.checkHost(of: request, advice: "To serve other names, give the hub another access.")
            if purpose == .publish { try LocalOnly.checkPublish(request, from: context.channel) }
            return Grant(seesAllPublic: true, publish: purpose == .publish ? [.every] : [])
        }
    }

    /// Everybody may subscribe and receives what is public; nobody may publish over HTTP.
    public static var readOnly: Access {
        Access { _, _, purpose in
            try Self.refusePublishing(purpose)
            return Grant(seesAllPublic: true)
        }
    }

    /// The same, but that nobody may publish over HTTP.
    public var withoutPublishing: Access {
        Access { request, context, purpose in
            try Self.refusePublishing(purpose)
            return try await grant(for: request, context: context, to: purpose)
        }
    }

    private static func refusePublishing(_ purpose: AccessPurpose) throws(Problem) {
        guard purpose == .subscribe else { throw Problem(.forbidden, "Publishing is turned off here.") }
    }

    package func grant(for request: Request, context: Context, to purpose: AccessPurpose) async throws -> Grant {
        let asked = ContinuousClock.now
        var grant = try await judge(request, context, purpose)
        grant.judged = asked
        return grant
    }
}
