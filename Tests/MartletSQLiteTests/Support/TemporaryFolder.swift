// SPDX-License-Identifier: Apache-2.0

import Foundation
import TestSupport

/// A folder that is there for one test.
struct TemporaryFolder {
    private let url: URL

    static func with(_ body: (TemporaryFolder) async throws -> Void) async throws {
        let url = FileManager.default.temporaryDirectory.appending(path: "martlet-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: url, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: url) }
        try await body(TemporaryFolder(url: url))
    }

    func path(_ name: String) -> String { url.appending(path: name).path }

    func bytes(_ name: String) throws -> [UInt8] { Array(try Data(contentsOf: url.appending(path: name))) }

    func write(_ bytes: [UInt8], to name: String) throws { try Data(bytes).write(to: url.appending(path: name)) }

    func size(_ name: String) throws -> Int { try bytes(name).count }

    /// What is in the folder, or in one within it.
    func names(_ folder: String = ".") throws -> [String] {
        try FileManager.default.contentsOfDirectory(atPath: path(folder)).sorted()
    }

    /// Changes bytes of a file where they are.
    func overwrite(_ name: String, at place: Int, with bytes: [UInt8]) throws {
        let file = try FileHandle(forUpdating: url.appending(path: name))
        try file.seek(toOffset: UInt64(place))
        try file.write(contentsOf: Data(bytes))
        try file.close()
    }

    func truncate(_ name: String, to size: Int) throws {
        let file = try FileHandle(forUpdating: url.appending(path: name))
        try file.truncate(atOffset: UInt64(size))
        try file.close()
    }

    func move(_ name: String, to other: String) throws {
        guard rename(path(name), path(other)) == 0 else { throw CocoaError(.fileWriteUnknown) }
    }

    /// A socket by a relative name, as paths of sockets are short.
    func makeSocket(_ name: String) async throws {
        let code = "import os, socket; os.chdir('\(url.path)'); socket.socket(socket.AF_UNIX).bind('\(name)')"
        _ = try await ChildProcess(["python3", "-c", code]).exitStatus()
    }

    func remove(_ name: String) { try? FileManager.default.removeItem(at: url.appending(path: name)) }
}
