// SPDX-License-Identifier: Apache-2.0

import Martlet
public import MartletHTTP
import MartletSupport

/// Grants the rights that a table has for the roles in a token:
///
///     {
///       "claim": "roles",
///       "roles": {
///         "support": {"subscribe": ["tickets/{id}"], "publish": ["tickets/{id}"]}
///       },
///       "everybody": {"subscribe": ["users/${sub}", "news"]},
///       "anonymous": {"subscribe": ["news"]},
///       "public": false
///     }
///
/// - `claim`: the claim with the roles, by default `roles`: an array of strings, or a string with spaces between them, as
///   in `scope`. `realm_access.roles` is a claim inside another one.
/// - `roles`: the rights of each role, in addition to those of `everybody`.
/// - `everybody`: the rights of every client with a token.
/// - `anonymous`: the rights of clients without a token. If it is missing, they are refused. They never publish.
/// - `public`: whether every client that may subscribe may subscribe to all topics, and receives their public events. By
///   default the table is complete: it names all topics.
///
/// `${sub}` in a selector stands for a claim of the token: a string or a number without `/ ? # * { }`. If the claim is
/// something else, the selector is not granted.
public struct RolePolicy: ImmediatePolicy {
    private struct Rights: Sendable {
        var subscribe: [SelectorPattern] = []
        var publish: [SelectorPattern] = []
    }

    /// The most selectors in the whole table.
    public static let maximumSelectors = 10_000

    private var claim = "roles"
    private var roles: [ExactText: Rights] = [:]
    private var everybody = Rights()
    private var anonymous: Rights?
    private var seesAllPublic = false

    /// - Parameter text: The table as JSON.
    /// - Throws: ``PolicyError`` with the path of the part that is malformed or unknown.
    public init(json text: some Collection<UInt8>) throws(PolicyError) {
        let table: JSONValue
        do { table = try JSONValue(parsing: text) } catch { throw PolicyError("$", "\(error)") }
        var count = 0
        for (name, value) in try table.members(at: "$") {
            let path = "$.\(name)"
            switch name {
            case "claim":
                guard let claim = value.stringValue, !claim.isEmpty else {
                    throw PolicyError(path, "This must be the name of a claim, as a string.")
                }
                self.claim = claim
            case "roles":
                for (role, rights) in try value.members(at: path) {
                    roles[ExactText(role)] = try Self.rights(rights, at: "\(path).\(role)", count: &count)
                }
            case "everybody": everybody = try Self.rights(value, at: path, count: &count)
            case "anonymous":
                anonymous = try Self.rights(value, at: path, count: &count)
                guard value["publish"] == nil else {
                    throw PolicyError("\(path).publish", "Clients without a token never publish. Leave this out.")
                }
            case "public":
                guard let isPublic = value.boolValue else { throw PolicyError(path, "This must be true or false.") }
                seesAllPublic = isPublic
            default:
                throw PolicyError(path, "This is not known. There are claim, roles, everybody, anonymous and public.")
            }
        }
    }

    /// - Throws: ``/MartletHTTP/Problem`` of status 401 if a token is needed and missing.
    public func grant(to principal: VerifiedToken?, for purpose: AccessPurpose) throws(Problem) -> Grant {
        guard let principal else {
            guard purpose == .subscribe, let anonymous else { throw TokenRefusal.missing(for: purpose).problem }
            return Grant(
                subscribe: Self.selectors([anonymous], \.subscribe, .object([:])), seesAllPublic: seesAllPublic)
        }
        let rights = [everybody] + Self.names(in: principal.claims.claim(claim)).compactMap { roles[$0] }
        var grant = Grant(principal: principal.subject, seesAllPublic: seesAllPublic, end: principal.expiry)
        grant.subscribe = Self.selectors(rights, \.subscribe, principal.claims)
        if purpose == .publish { grant.publish = Self.selectors(rights, \.publish, principal.claims) }
        return grant
    }

    private static func selectors(
        _ rights: [Rights], _ list: KeyPath<Rights, [SelectorPattern]>, _ claims: JSONValue
    ) -> Set<TopicSelector> {
        Set(rights.flatMap { $0[keyPath: list] }.compactMap { $0.selector(for: claims) })
    }

    private static func names(in claim: JSONValue?) -> Set<ExactText> {
        let text = claim?.stringValue
        let names =
            text?.splitExactly(at: UInt8(ascii: " ")).filter { !$0.isEmpty }.map(String.init)
            ?? claim?.strings ?? []
        return Set(names.map(ExactText.init))
    }

    private static func rights(_ value: JSONValue, at path: String, count: inout Int) throws(PolicyError) -> Rights {
        var rights = Rights()
        for (name, list) in try value.members(at: path) {
            let path = "\(path).\(name)"
            guard name == "subscribe" || name == "publish" else {
                throw PolicyError(path, "This is not known. There are subscribe and publish.")
            }
            guard let selectors = list.strings else { throw PolicyError(path, "This must be an array of strings.") }
            count += selectors.count
            guard count <= maximumSelectors else {
                throw PolicyError(path, "The table has more than \(maximumSelectors) selectors. Use templates.")
            }
            var patterns: [SelectorPattern] = []
            for (index, selector) in selectors.enumerated() {
                patterns.append(try SelectorPattern(selector, at: "\(path)[\(index)]"))
            }
            if name == "subscribe" { rights.subscribe = patterns } else { rights.publish = patterns }
        }
        return rights
    }
}

extension JSONValue {
    /// The members of an object in the order of their names.
    fileprivate func members(at path: String) throws(PolicyError) -> [(key: String, value: JSONValue)] {
        guard case .object(let members) = self else {
            throw PolicyError(path, "This is \(kind); it must be an object.")
        }
        return members.sorted { $0.key < $1.key }
    }
}

/// An error in the configuration of access.
public struct PolicyError: Error, Hashable, Sendable, CustomStringConvertible {
    /// The part at fault, as a path from the root `$`: `$.roles.support.publish[0]`.
    public let path: String
    /// What is wrong and what to do.
    public let message: String

    init(_ path: String, _ message: String) {
        self.path = path
        self.message = message
    }

    public var description: String { "\(path): \(message)" }
}
