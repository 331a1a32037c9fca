// SPDX-License-Identifier: Apache-2.0

public import Hummingbird

/// Finds out who asks: from a token, a cookie, or from what the application's own middleware knows.
public protocol Authenticator<Principal>: Sendable {
    associatedtype Principal: Sendable

    /// Who asks; `nil` where the request says nothing of who that is.
    ///
    /// - Throws: ``Problem``, usually of status 401 with `WWW-Authenticate`, where the request says something that is not
    ///   to be believed. It says why, and never contains the credentials.
    func principal(
        of request: Request, to purpose: AccessPurpose, context: some ChannelRequestContext
    ) async throws -> Principal?
}
