// SPDX-License-Identifier: Apache-2.0

/// Why a stream has ended.
enum StreamEnd: String, CaseIterable, Sendable {
    /// The client left, or its connection broke.
    case client
    /// The client took nothing for the write timeout.
    case slow
    /// The connection was as old as it may get.
    case age
    /// The right to the stream has ended.
    case expired
    /// The right to the stream was taken back.
    case revoked
    /// The hub drained.
    case drained
    /// The hub stopped.
    case stopped
}
