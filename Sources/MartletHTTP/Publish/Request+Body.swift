// SPDX-License-Identifier: Apache-2.0

import HTTPTypes
package import Hummingbird
import MartletSupport
import NIOCore

extension Request {
    /// What it says that its body is, in lower case and without parameters; `nil` where it says nothing.
    package var mediaType: String? {
        headers[.contentType].map { type in
            Substring(type.utf8.prefix { $0 != UInt8(ascii: ";") && !$0.isBlank }).asciiLowercased
        }
    }

    /// Reads the body.
    ///
    /// - Throws: ``Problem`` of status 413 where it is larger than that.
    package func body(upTo maximumBytes: Int) async throws -> ByteBuffer {
        let tooLarge = Problem(.contentTooLarge, "The body is over \(maximumBytes) bytes. Send less.", field: "data")
        if let length = headers[.contentLength], Int(length) ?? .max > maximumBytes { throw tooLarge }
        do {
            return try await body.collect(upTo: maximumBytes)
        } catch is NIOTooManyBytesError {
            throw tooLarge
        }
    }
}
