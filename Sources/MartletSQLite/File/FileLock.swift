// SPDX-License-Identifier: Apache-2.0

import Foundation

/// The right to a file that one process has at a time, by a lock on another file beside it. It ends with the process, however
/// that ends, or when this is released.
///
/// The lock file stays: a lock on a file that is removed would not keep out who creates it anew.
final class FileLock: Sendable {
    private let descriptor: CInt

    /// - Throws: ``SQLiteLogError`` where another process has the right, or this one in another place.
    init(for path: String) throws(SQLiteLogError) {
        let lockPath = path + "-lock"
        descriptor = open(lockPath, O_RDWR | O_CREAT | O_CLOEXEC, 0o644)
        guard descriptor >= 0 else {
            throw SQLiteLogError(.unavailable, "\(lockPath) cannot be opened: \(String(cString: strerror(errno))).")
        }
        guard flock(descriptor, LOCK_EX | LOCK_NB) == 0 else {
            let owner = (try? String(contentsOfFile: lockPath, encoding: .utf8)) ?? ""
            close(descriptor)
            throw SQLiteLogError(
                .inUse, "The log \(path) is in use by process \(owner). Stop that first, or give this one another file."
            )
        }
        // Only for whoever finds the file in use.
        let owner = Data("\(getpid())".utf8)
        ftruncate(descriptor, 0)
        _ = owner.withUnsafeBytes { pwrite(descriptor, $0.baseAddress, $0.count, 0) }
    }

    deinit { close(descriptor) }
}
