// SPDX-License-Identifier: Apache-2.0

import Martlet

/// What a publisher of the Mercure protocol hands over.
struct Update: Sendable {
    /// At least one. The first is the canonical topic, the others are alternates; one may be named twice.
    let topics: [Topic]
    /// Any text, which may be empty.
    let data: String
    /// Whether only subscribers with a right to one of the topics receive it.
    let isPrivate: Bool
    /// `nil`: the hub makes one.
    let id: String?
    let type: String?
    /// In milliseconds.
    let retry: Int?
}
