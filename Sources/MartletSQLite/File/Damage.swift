// SPDX-License-Identifier: Apache-2.0

/// What is in the file is not what was written to it.
enum Damage: Error, CustomStringConvertible {
    case event(UInt64)
    case table(String)

    var description: String {
        switch self {
        case .event(let offset): "its event \(offset) is missing or has changed"
        case .table(let what): what
        }
    }
}
