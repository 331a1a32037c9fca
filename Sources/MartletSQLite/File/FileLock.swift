// SPDX-License-Identifier: Apache-2.0

import Foundation
import MartletSupport
import Synchronization

/// A lock (`flock`) on the file of a log. It is on the file itself, so it holds for every path and link to the file. It
/// ends when it is released, or with the process.
///
/// SQLite locks the same file with record locks (`fcntl`), and these have a trap: a process loses all its record locks
/// on a file when it closes any descriptor of that file. Then another program that opens the file with SQLite could
/// take it for abandoned, and remove the write-ahead log that is in use. So
/// - this descriptor is opened before SQLite opens the file, and closed after SQLite has closed it;
/// - nothing else in this process opens the file in between. A second log for the same file is refused before it opens
///   anything (``inUse``), and the header is read through this descriptor.
///
/// Linux keeps the two kinds of locks apart. Elsewhere they may conflict within one process, so the lock is on a file
/// beside the log there, and a log with hard links is refused.
final class FileLock: Sendable {
    /// The files for which this process has a lock.
    private static let inUse = Mutex<Set<FileIdentity>>([])

    /// For reading, until the lock is released.
    let descriptor: CInt
    /// Which file it is.
    let identity: FileIdentity
    private let locked: CInt
    private let isHeld = Mutex(true)

    /// - Parameter path: Of a file that exists, without symbolic links.
    /// - Throws: ``SQLiteLogError`` if another log has the lock, in this process or another, or if the path is not a
    ///   regular file. It does not wait, and changes nothing.
    init(for path: String) throws(SQLiteLogError) {
        let status: FileStatus
        do { status = try FileStatus(of: path) } catch { throw .cannotOpen(path, error) }
        if let kind = status.otherKind {
            throw SQLiteLogError(.foreign, "\(path) is \(kind). Choose a regular file.")
        }
        identity = status.identity
        guard Self.inUse.withLock({ $0.insert(status.identity).inserted }) else { throw .inUse(path, by: getpid()) }
        do {
            (descriptor, locked) = try Self.open(path, status)
        } catch {
            Self.inUse.withLock { _ = $0.remove(status.identity) }
            throw error
        }
    }

    private static func open(
        _ path: String, _ status: FileStatus
    ) throws(SQLiteLogError) -> (descriptor: CInt, locked: CInt) {
        // A named pipe that has taken its place must not block.
        let descriptor = Foundation.open(path, O_RDWR | O_NONBLOCK | O_NOFOLLOW | O_CLOEXEC)
        guard descriptor >= 0 else { throw .cannotOpen(path, SystemError()) }
        do {
            guard let opened = try? FileStatus(of: descriptor), opened.identity == status.identity else {
                throw SQLiteLogError.hasMoved(path)
            }
            let locked = try lock(path, descriptor, status)
            // Another file may have taken its place before it was locked.
            guard (try? FileStatus(of: path))?.identity == status.identity else { throw SQLiteLogError.hasMoved(path) }
            return (descriptor, locked)
        } catch let error as SQLiteLogError {
            close(descriptor, unlessInUseBesides: status.identity)
            throw error
        } catch {
            close(descriptor, unlessInUseBesides: status.identity)
            throw SQLiteLogError(.unavailable, "The log \(path) cannot be locked: \(error).")
        }
    }

    /// Closes a descriptor, unless its name has led to the file of another log of this process in the meantime: closing
    /// it would release the record locks of that log.
    private static func close(_ descriptor: CInt, unlessInUseBesides identity: FileIdentity) {
        let opened = (try? FileStatus(of: descriptor))?.identity
        let isOthers = inUse.withLock { inUse in opened.map { $0 != identity && inUse.contains($0) } ?? false }
        if !isOthers { Foundation.close(descriptor) }
    }

    /// Returns the descriptor that has the lock.
    private static func lock(_ path: String, _ descriptor: CInt, _ status: FileStatus) throws -> CInt {
        #if os(Linux)
        let locked = descriptor
        #else
        guard status.names == 1 else {
            throw SQLiteLogError(.unavailable, "\(path) has several names (hard links). Remove all but one.")
        }
        let locked = Foundation.open(path + "-lock", O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0o600)
        guard locked >= 0 else { throw SQLiteLogError.cannotOpen(path + "-lock", SystemError()) }
        #endif
        guard flock(locked, LOCK_EX | LOCK_NB) == 0 else {
            let error = SystemError()
            if locked != descriptor { Foundation.close(locked) }
            throw error.code == EWOULDBLOCK ? SQLiteLogError.inUse(path, by: owner(of: status.identity)) : error
        }
        return locked
    }

    /// The process that has the lock, if the system says so.
    private static func owner(of identity: FileIdentity) -> pid_t? {
        // `String(contentsOfFile:)` reads only the first 4 KiB of a file without a size.
        guard let locks = try? FileHandle(forReadingAtPath: "/proc/locks")?.readToEnd() else { return nil }
        // Such as: 1: FLOCK  ADVISORY  WRITE 1234 08:01:5678 0 EOF
        let owners = String(decoding: locks, as: UTF8.self).splitExactly(at: UInt8(ascii: "\n")).compactMap {
            line -> pid_t? in
            let words = line.splitExactly(at: UInt8(ascii: " ")).filter { !$0.isEmpty }
            guard words.count > 5, words[1].isExactly("FLOCK"),
                words[5].endsExactly(with: ":\(identity.number)")
            else { return nil }
            return pid_t(words[4])
        }
        return owners.count == 1 ? owners[0] : nil
    }

    /// Releases the lock. Call it after SQLite has closed the file.
    func release() {
        let isFirst = isHeld.withLock { isHeld in
            defer { isHeld = false }
            return isHeld
        }
        guard isFirst else { return }
        // A child process that this process is just starting has copies of the descriptors, and would keep the lock.
        flock(locked, LOCK_UN)
        if locked != descriptor { Foundation.close(locked) }
        Foundation.close(descriptor)
        Self.inUse.withLock { _ = $0.remove(identity) }
    }

    deinit { release() }
}

extension SQLiteLogError {
    fileprivate static func cannotOpen(_ path: String, _ error: SystemError) -> SQLiteLogError {
        SQLiteLogError(.unavailable, "\(path) cannot be opened: \(error).")
    }

    fileprivate static func hasMoved(_ path: String) -> SQLiteLogError {
        SQLiteLogError(.unavailable, "\(path) was replaced while it was opened. Try again.")
    }

    fileprivate static func inUse(_ path: String, by process: pid_t?) -> SQLiteLogError {
        let owner = process.map { "process \($0)" } ?? "another process"
        return SQLiteLogError(
            .inUse, "The log \(path) is in use by \(owner). Stop it first, or choose another file.")
    }
}
