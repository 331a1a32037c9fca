// SPDX-License-Identifier: Apache-2.0

/// What a client has to come back with, and what the model knows about that.
enum ModelID: Sendable {
    case earliest
    /// An id that a publisher chose.
    case chosen(String)
    /// A position that was given out in one of the log's lives.
    case position(String, ModelPlace, life: Int)
    case unknown(String)

    var text: String {
        switch self {
        case .earliest: "earliest"
        case .chosen(let text), .position(let text, _, _), .unknown(let text): text
        }
    }
}
