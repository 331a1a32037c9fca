// SPDX-License-Identifier: Apache-2.0

import Foundation
import MartletSupport

/// Resolves the path of a file that may not exist yet.
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
