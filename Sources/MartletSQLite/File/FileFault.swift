// SPDX-License-Identifier: Apache-2.0

import GRDB
import Martlet

/// What happened to the files of an open log. From then on the log accepts nothing until it is opened again, because what it
/// acknowledges might be gone by then.
enum FileFault: Error, CustomStringConvertible {
    /// Something in the file is not what was written. The rest can still be read.
    case damaged(String)
    /// A file was removed or replaced. It can be read while it is open.
    case gone(String)

    /// What was found, for the operator.
    var description: String {
        switch self {
        case .damaged(let what), .gone(let what): what
        }
    }

    /// The error for publishers, without names of files.
    ///
    /// - Parameter mayHaveAccepted: Whether the events may have been published.
    func error(mayHaveAccepted: Bool = false) -> MartletError {
        let reason =
            switch self {
            case .damaged: "The log is damaged. Restore its file from a copy, and restart the hub."
            case .gone:
                "The file of the log was removed or replaced. Put the right one in its place, and restart the hub."
            }
        let outcome = mayHaveAccepted ? "It is not known whether this was published." : "Nothing was published."
        return MartletError(.storageFailed, "\(reason) \(outcome)")
    }
}

extension Error {
    /// Whether the file contains something else than what was written, or cannot be read.
    var isDamage: Bool {
        if self is Damage { return true }
        let codes: [ResultCode] = [.SQLITE_CORRUPT, .SQLITE_NOTADB, .SQLITE_IOERR]
        return (self as? DatabaseError).map { codes.contains($0.resultCode) } ?? false
    }
}
