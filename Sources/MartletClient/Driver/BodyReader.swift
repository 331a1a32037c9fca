// SPDX-License-Identifier: Apache-2.0

import AsyncHTTPClient
import NIOCore

/// The body of an answer, part by part. The connection goes with it.
///
/// Tasks of one group take turns with it, so that only one ever touches the iterator; whoever starts the next has waited
/// for the one before.
final class BodyReader: @unchecked Sendable {
    private var parts: HTTPClientResponse.Body.AsyncIterator

    init(_ body: HTTPClientResponse.Body) { parts = body.makeAsyncIterator() }

    func next() async throws -> ByteBuffer? { try await parts.next() }
}
