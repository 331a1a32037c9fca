// SPDX-License-Identifier: Apache-2.0

import Foundation
import MartletSupport

/// Identifies a file, independent of its name.
struct FileIdentity: Hashable, Sendable {
    let device: UInt64
    let number: UInt64
}

/// What the system reports about a file.
struct FileStatus: Sendable {
    let identity: FileIdentity
    let size: Int64
    /// The number of hard links.
    let names: Int
    private let type: mode_t

    /// - Parameter followsLink: Whether to report about the target of a symbolic link.
    init(of path: String, followsLink: Bool = true) throws(SystemError) {
        self = try Self.ask { followsLink ? stat(path, $0) : lstat(path, $0) }
    }

    init(of descriptor: CInt) throws(SystemError) { self = try Self.ask { fstat(descriptor, $0) } }

    private init(_ status: stat) {
        identity = FileIdentity(
            device: UInt64(truncatingIfNeeded: status.st_dev), number: UInt64(truncatingIfNeeded: status.st_ino))
        size = Int64(status.st_size)
        names = Int(status.st_nlink)
        type = status.st_mode & S_IFMT
    }

    private static func ask(_ call: (UnsafeMutablePointer<stat>) -> CInt) throws(SystemError) -> FileStatus {
        // The system fills it; it is read only if the call succeeded.
        let status = UnsafeMutablePointer<stat>.allocate(capacity: 1)
        defer { status.deallocate() }
        guard call(status) == 0 else { throw SystemError() }
        return FileStatus(status.pointee)
    }

    /// The kind of the file, unless it is a regular file.
    var otherKind: String? {
        switch type {
        case S_IFREG: nil
        case S_IFDIR: "a directory"
        case S_IFIFO: "a named pipe"
        case S_IFSOCK: "a socket"
        case S_IFLNK: "a symbolic link"
        default: "a device"
        }
    }
}

/// Why a system call failed.
struct SystemError: Error, CustomStringConvertible {
    let code: CInt

    /// The last error of this thread.
    init() { code = errno }

    var description: String { String(cString: strerror(code)) }
}

/// Resolves paths of files that may not exist yet.
enum LogPath {
    /// As many symbolic links as Linux follows.
    private static let mostLinks = 40

    /// The path without symbolic links, so that every path to a log leads to the same files beside it.
    static func resolve(_ path: String) throws(SQLiteLogError) -> String {
        var place = path
        for _ in 0..<mostLinks {
            if let real = real(place) { return real }
            let error = SystemError()
            guard error.code == ENOENT else { throw .noPlace(path, "\(error)") }
            if let target = target(of: place) {
                place = target.startsExactly(with: "/") ? target : folder(of: place) + "/" + target
                continue
            }
            guard let folder = real(folder(of: place)) else { throw .noPlace(path, "its folder does not exist") }
            return (folder.isExactly("/") ? "" : folder) + "/" + name(of: place)
        }
        throw .noPlace(path, "too many symbolic links")
    }

    /// `nil` if the file does not exist or cannot be found; `errno` says why.
    private static func real(_ path: String) -> String? {
        guard let real = realpath(path, nil) else { return nil }
        defer { free(real) }
        // If a folder has a name that is not UTF-8, the path is used as it was given.
        return String(validatingCString: real) ?? path
    }

    /// The target of a symbolic link.
    private static func target(of path: String) -> String? {
        try? FileManager.default.destinationOfSymbolicLink(atPath: path)
    }

    private static func folder(of path: String) -> String {
        guard let slash = path.utf8.lastIndex(of: UInt8(ascii: "/")) else { return "." }
        return slash == path.startIndex ? "/" : String(path[..<slash])
    }

    private static func name(of path: String) -> Substring {
        path.utf8.lastIndex(of: UInt8(ascii: "/")).map { path[path.utf8.index(after: $0)...] } ?? path[...]
    }
}

extension SQLiteLogError {
    fileprivate static func noPlace(_ path: String, _ reason: String) -> SQLiteLogError {
        SQLiteLogError(.unavailable, "The log \(path) cannot be opened: \(reason).")
    }
}
