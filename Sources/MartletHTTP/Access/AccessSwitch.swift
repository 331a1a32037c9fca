// SPDX-License-Identifier: Apache-2.0

import Synchronization

/// An access that can be replaced while a hub uses it. Requests that have begun keep the rules that they began with.
package final class AccessSwitch<Context>: Sendable {
    private let current: Mutex<PlainAccess>

    /// - Parameter access: A rule that needs no context.
    package init(_ access: Access<Context>) { current = Mutex(Self.plain(access)) }

    package func replace(with access: Access<Context>) {
        let plain = Self.plain(access)
        current.withLock { $0 = plain }
    }

    /// Decides as the access of the moment does.
    package var access: Access<Context> {
        Access(
            PlainAccess(now: { try self.now.judgeNow($0, $1) }) { try await self.now.judge($0, $1) })
    }

    private var now: PlainAccess { current.withLock { $0 } }

    private static func plain(_ access: Access<Context>) -> PlainAccess {
        guard let plain = access.plain else { preconditionFailure("Only an access without a context can be replaced.") }
        return plain
    }
}
