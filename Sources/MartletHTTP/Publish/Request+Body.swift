// SPDX-License-Identifier: Apache-2.0

import HTTPTypes
package import Hummingbird
import NIOCore

extension Request {
    /// What it says that its body is, in lower case and without parameters; `nil` where it says nothing.
    package var mediaType: String? { headers[.contentType]?.prefix { $0 != ";" && $0 != " " }.lowercased() }

    /// Reads the body.
    ///
    /// - Throws: ``Problem`` of status 413 where it is larger than that.
    package func body(upTo maximumBytes: Int) async throws -> ByteBuffer {
        do {
            return try await body.collect(upTo: maximumBytes)
        } catch is NIOTooManyBytesError {
            throw Problem(.contentTooLarge, "The body is over \(maximumBytes) bytes. Send less.", field: "data")
        }
    }
}
