// SPDX-License-Identifier: Apache-2.0

import AsyncHTTPClient
import MartletOutgoing
import MartletSupport
import NIOHTTP1

/// The parts of the head of a response that decide what the client does next.
struct ResponseHead: Sendable, Equatable {
    var status: Int
    /// All fields of this name, as with the encodings.
    var contentTypes: [String] = []
    var contentEncodings: [String] = []
    var location: String?
    /// How long the server asks the client to wait before the next request.
    var retryAfter = Duration.zero

    /// Whether the type is `text/event-stream`, with any parameters.
    var isEventStream: Bool { MediaType.essence(of: contentTypes)?.isExactly("text/event-stream") == true }

    var isPlainText: Bool { MediaType.essence(of: contentTypes)?.isExactly("text/plain") == true }

    var isEncoded: Bool {
        contentEncodings.flatMap { $0.splitExactly(at: UInt8(ascii: ",")) }.map(\.trimmingBlanks).contains {
            !$0.isEmpty && !$0.isExactlyIgnoringCase("identity")
        }
    }

    var isSuccess: Bool { (200...299).contains(status) }

    var isRedirect: Bool { [301, 302, 303, 307, 308].contains(status) }

    /// Whether the same request may succeed later.
    var isTransient: Bool { [408, 425, 429].contains(status) || (500...599).contains(status) }
}

extension ResponseHead {
    init(_ response: HTTPClientResponse) {
        self.init(
            status: Int(response.status.code),
            contentTypes: response.headers["Content-Type"],
            contentEncodings: response.headers["Content-Encoding"],
            location: response.headers.first(name: "Location"),
            retryAfter: response.retryAfter)
    }
}
