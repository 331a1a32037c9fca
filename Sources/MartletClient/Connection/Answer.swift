// SPDX-License-Identifier: Apache-2.0

import MartletOutgoing
import MartletSupport

/// What matters of the head of an answer.
struct Answer: Sendable, Equatable {
    var status: Int
    /// All fields of the name, as with the encodings.
    var contentTypes: [String] = []
    var contentEncodings: [String] = []
    var location: String?
    /// What the server asks to wait.
    var wait = Duration.zero

    /// Whether the type is `text/event-stream`, whatever its parameters.
    var isEventStream: Bool { MediaType.essence(of: contentTypes)?.isExactly("text/event-stream") == true }

    var isEncoded: Bool {
        contentEncodings.flatMap { $0.splitExactly(at: UInt8(ascii: ",")) }.map(\.trimmingBlanks).contains {
            !$0.isEmpty && !$0.isExactlyIgnoringCase("identity")
        }
    }

    var isRedirect: Bool { [301, 302, 303, 307, 308].contains(status) }

    /// Whether asking again may help.
    var isPassing: Bool { [408, 425, 429].contains(status) || (500...599).contains(status) }
}
