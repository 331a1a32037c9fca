// SPDX-License-Identifier: Apache-2.0

/// Decides what somebody may do.
public protocol AccessPolicy<Principal>: Sendable {
    associatedtype Principal: Sendable

    /// What somebody may do, whatever topics he is about to name.
    ///
    /// - Parameter principal: Who asks; `nil`: nobody in particular.
    /// - Throws: ``Problem`` where he may do nothing at all.
    func grant(to principal: Principal?, for purpose: AccessPurpose) async throws -> Grant
}
