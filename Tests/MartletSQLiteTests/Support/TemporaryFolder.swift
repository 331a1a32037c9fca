// SPDX-License-Identifier: Apache-2.0

import Foundation

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

    func remove(_ name: String) { try? FileManager.default.removeItem(at: url.appending(path: name)) }
}
