// SPDX-License-Identifier: Apache-2.0

import Foundation
import GRDB
import Martlet
import TestSupport
import Testing

@testable import MartletSQLite

@Suite("The owner of the file of a log", .timeLimit(.minutes(10)))
struct OwnershipTests {
    /// Opens the file, expects to be refused, and returns why.
    private func refusal(of folder: TemporaryFolder) async throws -> SQLiteLogError {
        let before = try? folder.bytes("hub.db")
        let error = await #expect(throws: SQLiteLogError.self) {
            _ = try await folder.log("hub.db").open()
        }
        #expect((try? folder.bytes("hub.db")) == before, "a file that was refused has changed")
        return try #require(error)
    }

    @Test("A second log is refused until the first is closed")
    func second() async throws {
        try await TemporaryFolder.with { folder in
            let log = folder.log("hub.db")
            _ = try await log.open()
            let error = try await refusal(of: folder)
            #expect(error.code == .inUse)
            #expect(error.message.contains("process \(ProcessInfo.processInfo.processIdentifier)"))
            await log.close()
            let next = folder.log("hub.db")
            _ = try await next.open()
            await next.close()
        }
    }

    @Test(
        "Another name for the file is the same file",
        arguments: ["symbolic link", "hard link", "relative link", "folder"])
    func otherNames(kind: String) async throws {
        try await TemporaryFolder.with { folder in
            let log = folder.log("hub.db")
            _ = try await log.open()
            try await log.append("news", "1")
            var name = "other.db"
            switch kind {
            case "symbolic link": #expect(symlink(folder.path("hub.db"), folder.path(name)) == 0)
            case "relative link": #expect(symlink("hub.db", folder.path(name)) == 0)
            case "hard link": #expect(link(folder.path("hub.db"), folder.path(name)) == 0)
            default:
                #expect(symlink(".", folder.path("other")) == 0)
                name = "other/hub.db"
            }
            let error = await #expect(throws: SQLiteLogError.self) { _ = try await folder.log(name).open() }
            #expect(error?.code == .inUse)
            try await log.append("news", "2")
            await log.close()
            let again = folder.log(name)
            _ = try await again.open()
            #expect(try await again.texts() == ["1", "2"])
            await again.close()
        }
    }

    #if os(Linux)
    /// The record locks that this process has on a file.
    private func recordLocks(of path: String) throws -> Int {
        let number = try FileStatus(of: path).identity.number
        let locks = try #require(try FileHandle(forReadingAtPath: "/proc/locks")?.readToEnd())
        return String(decoding: locks, as: UTF8.self).split(separator: "\n").count {
            $0.contains("POSIX") && $0.contains(" \(getpid()) ") && $0.contains(":\(number) ")
        }
    }

    @Test("A refused log does not release the record locks of SQLite")
    func locksStay() async throws {
        try await TemporaryFolder.with { folder in
            let log = folder.log("hub.db")
            _ = try await log.open()
            try await log.append("news", "1")
            let before = try recordLocks(of: folder.path("hub.db"))
            #expect(before > 0)
            for _ in 0..<3 { await #expect(throws: SQLiteLogError.self) { _ = try await folder.log("hub.db").open() } }
            #expect(try recordLocks(of: folder.path("hub.db")) == before)
            await log.close()
            #expect(try recordLocks(of: folder.path("hub.db")) == 0)
        }
    }
    #endif

    @Test("The error names the process that has the lock")
    func otherProcess() async throws {
        try await TemporaryFolder.with { folder in
            let log = folder.log("hub.db")
            _ = try await log.open()
            await log.close()
            let output = Pipe()
            let other = try ChildProcess(
                ["flock", folder.path("hub.db"), "sh", "-c", "echo locked; exec sleep 60"],
                output: output.fileHandleForWriting.fileDescriptor)
            defer { other.kill() }
            #expect(output.fileHandleForReading.availableData == Data("locked\n".utf8))
            let error = try await refusal(of: folder)
            #expect(error.code == .inUse)
            #expect(error.message.contains("in use by process \(other.id)"))
        }
    }

    @Test("Only the owner can read the files")
    func permissions() async throws {
        try await TemporaryFolder.with { folder in
            let log = folder.log("hub.db")
            _ = try await log.open()
            try await log.append("news", "1")
            for name in ["hub.db", "hub.db-wal", "hub.db-shm"] {
                let attributes = try FileManager.default.attributesOfItem(atPath: folder.path(name))
                #expect((attributes[.posixPermissions] as? NSNumber)?.intValue == 0o600, "\(name)")
            }
            #expect(try folder.names() == ["hub.db", "hub.db-shm", "hub.db-wal"])
            await log.close()
            #expect(try folder.names() == ["hub.db"])
        }
    }

    @Test("Links at the names of helper files are neither followed nor written")
    func beside() async throws {
        try await TemporaryFolder.with { folder in
            for name in ["hub.db-lock", "hub.db-new"] {
                try folder.write(Array("precious".utf8), to: "precious")
                #expect(symlink(folder.path("precious"), folder.path(name)) == 0)
            }
            let log = folder.log("hub.db")
            _ = try await log.open()
            await log.close()
            #expect(try folder.bytes("precious") == Array("precious".utf8))
        }
    }

    @Test(
        "A path that is not a regular file is refused at once",
        arguments: ["a named pipe", "a directory", "a socket", "a device"])
    func noFile(kind: String) async throws {
        try await TemporaryFolder.with { folder in
            let path = folder.path("hub.db")
            switch kind {
            case "a named pipe": #expect(mkfifo(path, 0o600) == 0)
            case "a directory": #expect(mkdir(path, 0o700) == 0)
            case "a socket": try await folder.makeSocket("hub.db")
            default: #expect(symlink("/dev/null", path) == 0)
            }
            let error = await #expect(throws: SQLiteLogError.self) { _ = try await folder.log("hub.db").open() }
            #expect(error?.code == .foreign)
            #expect(error?.message.contains("is \(kind)") == true)
        }
    }

    @Test(
        "A helper file that is not a regular file is refused",
        arguments: ["hub.db-wal", "hub.db-shm"])
    func noJournal(name: String) async throws {
        try await TemporaryFolder.with { folder in
            let log = folder.log("hub.db")
            _ = try await log.open()
            await log.close()
            #expect(mkfifo(folder.path(name), 0o600) == 0)
            #expect(try await refusal(of: folder).message.contains("\(name) is a named pipe"))
        }
    }

    @Test("A dangling link names the place of the new log")
    func dangling() async throws {
        try await TemporaryFolder.with { folder in
            #expect(mkdir(folder.path("data"), 0o700) == 0)
            #expect(symlink("data/real.db", folder.path("hub.db")) == 0)
            let log = folder.log("hub.db")
            _ = try await log.open()
            try await log.append("news", "1")
            await log.close()
            #expect(try folder.names("data") == ["real.db"])
            let again = folder.log("data/real.db")
            _ = try await again.open()
            #expect(try await again.texts() == ["1"])
            await again.close()
        }
    }

    @Test("A cycle of links is refused")
    func circle() async throws {
        try await TemporaryFolder.with { folder in
            #expect(symlink("b.db", folder.path("hub.db")) == 0)
            #expect(symlink("hub.db", folder.path("b.db")) == 0)
            let error = await #expect(throws: SQLiteLogError.self) { _ = try await folder.log("hub.db").open() }
            #expect(error?.code == .unavailable)
        }
    }

    @Test("One of many hubs that create the same log at once gets it")
    func race() async throws {
        try await TemporaryFolder.with { folder in
            let opened = await withTaskGroup(of: SQLiteLog?.self) { group in
                for _ in 0..<8 {
                    group.addTask {
                        let log = folder.log("hub.db")
                        return (try? await log.open()) == nil ? nil : log
                    }
                }
                return await group.reduce(into: []) { $0 += $1.map { [$0] } ?? [] }
            }
            #expect(opened.count == 1)
            for log in opened { await log.close() }
            let names = try folder.names()
            #expect(names == ["hub.db"])
        }
    }

    @Test("Other files are refused and left as they are")
    func foreign() async throws {
        try await TemporaryFolder.with { folder in
            try folder.write(Array("something else, which is longer than the header of a database".utf8), to: "hub.db")
            #expect(try await refusal(of: folder).code == .foreign)
            folder.remove("hub.db")
            let other = try DatabaseQueue(path: folder.path("hub.db"))
            try await other.write { try $0.execute(sql: "CREATE TABLE event (offset INTEGER PRIMARY KEY)") }
            try other.close()
            #expect(try await refusal(of: folder).code == .foreign)
            try folder.write([], to: "hub.db")
            #expect(try await refusal(of: folder).code == .damaged)
        }
    }

    @Test("A file of a newer version is refused and left as it is")
    func newer() async throws {
        try await TemporaryFolder.with { folder in
            let log = folder.log("hub.db")
            _ = try await log.open()
            try await log.run("PRAGMA user_version = \(LogFile.version + 1)")
            await log.close()
            #expect(try await refusal(of: folder).code == .newer)
        }
    }

    @Test("A write-ahead log without its file is not used for a new file")
    func orphan() async throws {
        try await TemporaryFolder.with { folder in
            let log = folder.log("hub.db")
            _ = try await log.open()
            try await log.append("news", "1")
            let journal = try folder.bytes("hub.db-wal")
            await log.close()
            folder.remove("hub.db")
            try folder.write(journal, to: "hub.db-wal")
            let error = try await refusal(of: folder)
            #expect(error.code == .damaged)
            #expect(error.message.contains("hub.db-wal"))
            try folder.write([], to: "hub.db-wal")
            let next = folder.log("hub.db")
            _ = try await next.open()
            #expect(try await next.texts() == [])
            await next.close()
        }
    }

    @Test("The remains of a file that was never completed do no harm")
    func draft() async throws {
        try await TemporaryFolder.with { folder in
            try folder.write(Array("half a file".utf8), to: "hub.db-new")
            let log = folder.log("hub.db")
            _ = try await log.open()
            await log.close()
        }
    }

    @Test("A folder that cannot be written is an error")
    func noFolder() async throws {
        try await TemporaryFolder.with { folder in
            let error = await #expect(throws: SQLiteLogError.self) {
                _ = try await folder.log("none/hub.db").open()
            }
            #expect(error?.code == .unavailable)
            #expect(error?.message.contains("its folder does not exist") == true)
        }
    }
}
