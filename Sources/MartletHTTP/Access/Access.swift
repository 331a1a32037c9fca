// SPDX-License-Identifier: Apache-2.0

import HTTPTypes
import Martlet

/// Decides what a client may do with a hub over HTTP. It is called once for each request, before the rest of the request
/// is looked at.
///
///     router.addHub(hub, access: Access { request, context, purpose in
///         let own = try Topic("users/\(context.user.id)")
///         return Grant(principal: context.user.id, subscribe: [TopicSelector(own)])
///     })
///
/// `Context` is the request context of the router.
public struct Access<Context>: Sendable {
    private let judge: @Sendable (HubRequest, Context, AccessPurpose) async throws -> Grant
    /// The same rule, if it needs no context, so that a ``FrontDoor`` can ask it, too.
    package let plain: PlainAccess?

    /// - Parameter judge: Returns what the client may do, or throws ``Problem`` if it may do nothing. It runs on the
    ///   executor of the request.
    public init(_ judge: @escaping @Sendable (HubRequest, Context, AccessPurpose) async throws -> Grant) {
        self.judge = judge
        plain = nil
    }

    init(_ plain: PlainAccess) {
        judge = { request, _, purpose in try await plain.judge(request, purpose) }
        self.plain = plain
    }

    /// Identifies the client, and then decides what it may do.
    public init<Principal>(_ authenticator: some Authenticator<Principal>, _ policy: some AccessPolicy<Principal>) {
        self.init(
            PlainAccess(now: Self.now(authenticator, policy)) { request, purpose in
                let principal = try await authenticator.principal(of: request, to: purpose)
                return try await policy.grant(to: principal, for: purpose)
            })
    }

    private static func now<Principal>(
        _ authenticator: any Authenticator<Principal>, _ policy: any AccessPolicy<Principal>
    ) -> PlainAccess.Now {
        guard let authenticator = authenticator as? any ImmediateAuthenticator<Principal>,
            let policy = policy as? any ImmediatePolicy<Principal>
        else { return { _, _ in nil } }
        return { request, purpose in
            switch try authenticator.principalNow(of: request, to: purpose) {
            case .known(let principal): try policy.grant(to: principal, for: purpose)
            case .later: nil
            }
        }
    }

    /// Without credentials, clients may subscribe and receive public events. Programs on this machine may publish, and so
    /// may web pages that this server delivered. A request must name this machine in `Host` (`localhost`, `127.0.0.1`), and
    /// the server must listen on loopback only.
    public static var local: Access {
        Access(
            PlainAccess { request, purpose in
                try LocalOnly.checkHost(request.authority, advice: "To serve other names, give the hub another access.")
                if purpose == .publish { try LocalOnly.checkPublish(request) }
                return Grant(seesAllPublic: true, publish: purpose == .publish ? [.every] : [])
            })
    }

    /// Every client may subscribe and receives public events. No client may publish over HTTP.
    public static var readOnly: Access {
        Access(
            PlainAccess { _, purpose in
                try PlainAccess.refusePublishing(purpose)
                return Grant(seesAllPublic: true)
            })
    }

    /// The same access, but no client may publish over HTTP.
    public var withoutPublishing: Access {
        changed { _, purpose in
            try PlainAccess.refusePublishing(purpose)
            return nil
        }
    }

    /// The same access, but some requests are judged by another rule, which may have to wait.
    func changed(
        for applies: @escaping @Sendable (HubRequest, AccessPurpose) throws -> Bool,
        _ rule: @escaping @Sendable (HubRequest, AccessPurpose) async throws -> Grant
    ) -> Access {
        if let plain { return Access(plain.changed(for: applies, rule)) }
        return Access { request, context, purpose in
            if try applies(request, purpose) { return try await rule(request, purpose) }
            return try await judge(request, context, purpose)
        }
    }

    /// The same access behind another rule.
    ///
    /// - Parameter rule: Decides, or returns `nil` to leave the decision to this access.
    func changed(_ rule: @escaping @Sendable (HubRequest, AccessPurpose) throws -> Grant?) -> Access {
        if let plain { return Access(plain.changed(rule)) }
        return Access { request, context, purpose in
            if let grant = try rule(request, purpose) { return grant }
            return try await judge(request, context, purpose)
        }
    }

    package func grant(for request: HubRequest, context: Context, to purpose: AccessPurpose) async throws -> Grant {
        let start = ContinuousClock.now
        var grant = try await judge(request, context, purpose)
        if grant.judged == nil { grant.judged = start }
        return grant
    }
}

/// A rule that needs no context of a router.
package struct PlainAccess: Sendable {
    /// Decides at once; returns `nil` if it has to wait for something.
    typealias Now = @Sendable (HubRequest, AccessPurpose) throws -> Grant?

    let judgeNow: Now
    let judge: @Sendable (HubRequest, AccessPurpose) async throws -> Grant

    init(now: @escaping Now, judge: @escaping @Sendable (HubRequest, AccessPurpose) async throws -> Grant) {
        judgeNow = now
        self.judge = judge
    }

    /// It never has to wait.
    fileprivate init(_ judge: @escaping @Sendable (HubRequest, AccessPurpose) throws -> Grant) {
        self.init(now: judge) { try judge($0, $1) }
    }

    fileprivate func changed(_ rule: @escaping @Sendable (HubRequest, AccessPurpose) throws -> Grant?) -> PlainAccess {
        PlainAccess(
            now: { try rule($0, $1) ?? judgeNow($0, $1) },
            judge: { request, purpose in
                if let grant = try rule(request, purpose) { return grant }
                return try await judge(request, purpose)
            })
    }

    fileprivate func changed(
        for applies: @escaping @Sendable (HubRequest, AccessPurpose) throws -> Bool,
        _ rule: @escaping @Sendable (HubRequest, AccessPurpose) async throws -> Grant
    ) -> PlainAccess {
        PlainAccess(
            now: { try applies($0, $1) ? nil : judgeNow($0, $1) },
            judge: { request, purpose in
                if try applies(request, purpose) { return try await rule(request, purpose) }
                return try await judge(request, purpose)
            })
    }

    fileprivate static func refusePublishing(_ purpose: AccessPurpose) throws(Problem) {
        guard purpose == .subscribe else { throw Problem(.forbidden, "Publishing is turned off here.") }
    }
}

/// What a request is about to do with a hub. Different keys may govern the two purposes.
public enum AccessPurpose: Hashable, Sendable, CaseIterable {
    case subscribe
    case publish
}

/// Identifies clients: from a token, a cookie, or an address. If your middleware identifies them, pass a closure to
/// ``Access`` instead; it receives the request context.
public protocol Authenticator<Principal>: Sendable {
    associatedtype Principal: Sendable

    /// Returns the principal that sends a request; `nil` if the request does not identify one.
    ///
    /// - Throws: ``Problem``, usually of status 401 with `WWW-Authenticate`, if the credentials are not valid. It says why,
    ///   and never contains the credentials.
    func principal(of request: HubRequest, to purpose: AccessPurpose) async throws -> Principal?
}

/// Decides what a principal may do.
public protocol AccessPolicy<Principal>: Sendable {
    associatedtype Principal: Sendable

    /// Returns what a principal may do, for all topics.
    ///
    /// - Parameter principal: `nil`: the client is anonymous.
    /// - Throws: ``Problem`` if the principal may do nothing at all.
    func grant(to principal: Principal?, for purpose: AccessPurpose) async throws -> Grant
}

/// An authenticator that seldom has to wait, so that a ``FrontDoor`` can ask it without a task.
package protocol ImmediateAuthenticator<Principal>: Authenticator {
    /// Identifies a client as ``Authenticator/principal(of:to:)`` does, unless it has to wait for that.
    func principalNow(of request: HubRequest, to purpose: AccessPurpose) throws -> PrincipalNow<Principal>
}

package enum PrincipalNow<Principal: Sendable> {
    /// `nil`: the request identifies none.
    case known(Principal?)
    /// Something has to be waited for, such as the keys that verify tokens.
    case later
}

/// A policy that never has to wait.
package protocol ImmediatePolicy<Principal>: AccessPolicy {
    func grant(to principal: Principal?, for purpose: AccessPurpose) throws -> Grant
}
