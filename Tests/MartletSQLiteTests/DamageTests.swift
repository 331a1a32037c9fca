// SPDX-License-Identifier: Apache-2.0

import Martlet
import TestSupport
import Testing

@testable import MartletSQLite

@Suite("A file that does not contain what was written", .timeLimit(.minutes(10)))
struct DamageTests {
    private static let texts = (0..<120).map { "event \($0) " + String(repeating: "x", count: $0) }
    private static let pageSize = 4096

    private struct Files {
        var bytes: [String: [UInt8]] = [:]
        /// The events that are in them, as a part of ``texts``.
        var kept = 0..<0
    }

    /// A log that was closed, or that crashed with most of its events in the write-ahead log.
    private func makeFiles(isClosed: Bool) async throws -> Files {
        var files = Files()
        try await TemporaryFolder.with { folder in
            let log = folder.log("hub.db", retention: Retention(events: 100))
            _ = try await log.open()
            for (number, text) in Self.texts.enumerated() {
                _ = try await log.append([Event(topic: "news", data: text, id: number % 3 == 0 ? "id \(number)" : nil)])
                try await log.follow()
            }
            files.kept = Self.texts.count - log.size.events..<Self.texts.count
            if isClosed { await log.close() }
            files.bytes["hub.db"] = try folder.bytes("hub.db")
            files.bytes["hub.db-wal"] = isClosed ? [] : try folder.bytes("hub.db-wal")
            await log.close()
        }
        return files
    }

    /// Opens the files and looks at all that they give. It is right, or an error says that it is not.
    ///
    /// - Returns: how many events there are, or `nil` where the files were refused.
    private func look(at files: Files, _ what: String, mayLose: Bool) async throws -> Int? {
        var count: Int?
        try await TemporaryFolder.with { folder in
            for (name, bytes) in files.bytes { try folder.write(bytes, to: name) }
            let log = folder.log("hub.db", retention: Retention(events: 100))
            do {
                _ = try await log.open()
            } catch {
                #expect(error is SQLiteLogError, "\(what): \(error)")
                return
            }
            for selection in [nil, Selection.of("news")] {
                guard let texts = try? await log.texts(selection) else { continue }
                let first = texts.first.flatMap(Self.texts.firstIndex(of:)) ?? 0
                #expect(texts == Array(Self.texts[first...].prefix(texts.count)), "\(what)")
                #expect(mayLose || first..<first + texts.count == files.kept, "\(what)")
                count = texts.count
            }
            let resolution = try? await log.resolve("id 99", for: .of("news"))
            if let resolution, resolution.gap == nil {
                let rest = try? await log.texts(.of("news"), after: resolution.position)
                #expect(rest.map { $0 == Array(Self.texts[100..<100 + $0.count]) } ?? true, "\(what)")
            }
            await log.abandon()
        }
        return count
    }

    @Test("A closed file with any changed byte is read completely or refused", arguments: 0..<4)
    func flippedByte(part: Int) async throws {
        let files = try await makeFiles(isClosed: true)
        let size = files.bytes["hub.db"]?.count ?? 0
        var generator = SeededGenerator(seed: UInt64(part))
        var refused = 0
        for place in stride(from: part * 25, to: size, by: 100) {
            var damaged = files
            let place = min(size - 1, place + Int.random(in: 0..<25, using: &generator))
            damaged.bytes["hub.db"]?[place] ^= UInt8.random(in: 1...255, using: &generator)
            if try await look(at: damaged, "byte \(place)", mayLose: false) == nil { refused += 1 }
        }
        #expect(refused > 0)
    }

    @Test("A closed file that is truncated anywhere is refused")
    func truncated() async throws {
        let files = try await makeFiles(isClosed: true)
        let size = files.bytes["hub.db"]?.count ?? 0
        #expect(size > 5 * Self.pageSize)
        for end in stride(from: 0, to: size, by: Self.pageSize) {
            for end in [end, end + 1, end + Self.pageSize - 1] {
                var damaged = files
                damaged.bytes["hub.db"]?.removeLast(size - end)
                #expect(
                    try await look(at: damaged, "ends at \(end)", mayLose: false) == nil, "ends at \(end) of \(size)")
            }
        }
    }

    @Test(
        "After a crash, a damaged write-ahead log has the events in front of the damage, or is refused",
        arguments: 0..<4)
    func journal(part: Int) async throws {
        let files = try await makeFiles(isClosed: false)
        let size = files.bytes["hub.db-wal"]?.count ?? 0
        #expect(size > 20 * Self.pageSize)
        #expect(try await look(at: files, "whole", mayLose: false) == files.kept.count)
        var generator = SeededGenerator(seed: UInt64(part))
        var least = files.kept.count
        for place in stride(from: 0, to: size, by: max(1, size / 60)) {
            let place = min(size - 1, place + Int.random(in: 0..<max(1, size / 60), using: &generator))
            var flipped = files
            flipped.bytes["hub.db-wal"]?[place] ^= UInt8.random(in: 1...255, using: &generator)
            least = min(least, try await look(at: flipped, "byte \(place) of the journal", mayLose: true) ?? least)
            var short = files
            short.bytes["hub.db-wal"]?.removeLast(size - place)
            least = min(least, try await look(at: short, "journal ends at \(place)", mayLose: true) ?? least)
        }
        #expect(least < files.kept.count)
    }
}
