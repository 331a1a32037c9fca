// SPDX-License-Identifier: Apache-2.0

import Foundation

/// Identifies a file, independent of its name.
struct FileIdentity: Hashable, Sendable {
    let device: UInt64
    let number: UInt64
}

/// What the system says of a file.
struct FileStatus: Sendable {
    let identity: FileIdentity
    let size: Int64
    /// How many names the file has.
    let names: Int
    private let type: mode_t

    /// - Parameter followsLink: Whether a symbolic link stands for what it leads to.
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

    /// What it is, if it is not a regular file.
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
