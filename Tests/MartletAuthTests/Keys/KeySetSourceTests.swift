// SPDX-License-Identifier: Apache-2.0

import Foundation
import HTTPTypes
import Hummingbird
import MartletSupport
import MartletTesting
import NIOCore
import Synchronization
import TestSupport
import Testing

@testable import MartletAuth

@Suite struct KeySetSourceTests {
    private func verifier(_ server: FakeServer, _ configure: (inout KeySetLimits) -> Void = { _ in }) throws
        -> TokenVerifier
    {
        var limits = KeySetLimits()
        configure(&limits)
        return TokenVerifier(
            keys: try TokenKeys(jwks: server.url + "jwks", limits: limits, logger: quiet), audience: .any)
    }

    @Test("Keys are fetched once for all that need them")
    func keysAreFetchedOnceWhoever() async throws {
        try await FakeServer.run { server in
            server.answer(.ok, [:], TestKeys.jwks(TestKeys.jwk(.es256, ["kid": "one"])))
            let verifier = try self.verifier(server)
            let token = try await token(#"{"sub":"alice"}"#, .es256, keyID: "one")
            try await withThrowingTaskGroup(of: String?.self) { tasks in
                for _ in 0..<50 { tasks.addTask { try await verifier.verify(token).subject } }
                for try await subject in tasks { #expect(subject == "alice") }
            }
            #expect(server.requests.map(\.path) == ["/jwks"])
        }
    }

    @Test("Keys that are rotated in are found at once")
    func keysThatAreRotated() async throws {
        try await FakeServer.run { server in
            server.answer(.ok, [:], TestKeys.jwks(TestKeys.jwk(.es256, ["kid": "one"])))
            let verifier = try self.verifier(server) { $0.minimumInterval = .zero }
            _ = try await verifier.verify(token("{}", .es256, keyID: "one"))
            server.answer(.ok, [:], TestKeys.jwks(TestKeys.jwk(.eddsa, ["kid": "two"])))
            _ = try await verifier.verify(token("{}", .eddsa, keyID: "two"))
            #expect(try await refusal(of: token("{}", .es256, keyID: "one"), by: verifier)?.code == .unknownKey)
        }
    }

    @Test("A flood of unknown keys is one request")
    func floodOfUnknownKeys() async throws {
        try await FakeServer.run { server in
            server.answer(.ok, [:], TestKeys.jwks(TestKeys.jwk(.es256, ["kid": "one"])))
            let verifier = try self.verifier(server)
            _ = try await verifier.verify(token("{}", .es256, keyID: "one"))
            try await withThrowingTaskGroup(of: TokenRefusal.Code?.self) { tasks in
                for number in 0..<50 {
                    let token = try await token("{}", .es256, keyID: "unknown \(number)")
                    tasks.addTask { try await refusal(of: token, by: verifier)?.code }
                }
                for try await code in tasks { #expect(code == .unknownKey) }
            }
            #expect(server.requests.count == 1)
            _ = try await verifier.verify(token("{}", .es256, keyID: "one"))
        }
    }

    @Test(
        "An answer that is not a key set is refused",
        arguments: [
            (.ok, "garbage"), (.ok, ""), (.ok, "{}"), (.internalServerError, nil), (.notFound, nil), (.noContent, ""),
            (.movedPermanently, nil), (.found, nil),
        ] as [(HTTPResponse.Status, String?)])
    func whatIsNoKeySet(status: HTTPResponse.Status, body: String?) async throws {
        try await FakeServer.run { server in
            let keys = TestKeys.jwks(TestKeys.jwk(.es256, ["kid": "one"]))
            server.answer { request in
                request.uri.path == "/moved"
                    ? Response(status: .ok, body: .init(byteBuffer: ByteBuffer(string: keys)))
                    : Response(
                        status: status, headers: [.location: server.url + "moved"],
                        body: .init(byteBuffer: ByteBuffer(string: body ?? keys)))
            }
            let verifier = try self.verifier(server)
            let token = try await token("{}", .es256, keyID: "one")
            for _ in 0..<3 {
                let error = await #expect(throws: KeysUnavailable.self) { try await verifier.verify(token) }
                #expect(error.map { $0.retryAfter <= .seconds(1) } == true)
            }
            #expect(server.requests.map(\.path) == ["/jwks"])
        }
    }

    @Test("An answer that is too large is none")
    func answerThatIsTooLarge() async throws {
        try await FakeServer.run { server in
            let keys = TestKeys.jwks(TestKeys.jwk(.es256, ["kid": "one"]))
            let verifier = try self.verifier(server) {
                $0.maximumBytes = keys.utf8.count
                $0.firstBackOff = .zero
            }
            server.answer(.ok, [:], keys + " ")
            let token = try await token("{}", .es256, keyID: "one")
            await #expect(throws: KeysUnavailable.self) { try await verifier.verify(token) }
            server.answer(.ok, [:], keys)
            _ = try await verifier.verify(token)
        }
    }

    @Test("An answer that takes too long is none", arguments: [true, false])
    func answerThatTakesTooLong(sendsHead: Bool) async throws {
        try await FakeServer.run { server in
            let (stream, end) = AsyncStream.makeStream(of: ByteBuffer.self)
            server.answer { _ in
                if !sendsHead { for await _ in stream {} }
                return Response(
                    status: .ok, headers: [.contentLength: "1000"],
                    body: ResponseBody { writer in
                        try await writer.write(ByteBuffer(string: "{"))
                        for await part in stream { try await writer.write(part) }
                        try await writer.finish(nil)
                    })
            }
            let verifier = try self.verifier(server) { $0.timeout = .milliseconds(50) }
            let token = try await token("{}", .es256, keyID: "one")
            await #expect(throws: KeysUnavailable.self) {
                try await TestConnection.withPatience { try await verifier.verify(token) }
            }
            end.finish()
        }
    }

    @Test("Old keys are used while the source is away")
    func oldKeysAreUsed() async throws {
        let clock = ManualClock()
        let isAway = Mutex(false)
        let fetches = Mutex(0)
        let set = try await KeySet(
            jwks: Array(TestKeys.jwks(TestKeys.jwk(.es256, ["kid": "one"])).utf8), allowing: [.es256])
        struct Away: Error {}
        let results = Mutex<[Bool]>([])
        let onFetch: FetchObserver = { hasSucceeded in results.withLock { $0.append(hasSucceeded) } }
        let keys = try TokenKeys([.es256], KeySetLimits(), clock, quiet, onFetch) {
            fetches.withLock { $0 += 1 }
            if isAway.withLock({ $0 }) { throw Away() }
            return set
        }
        let verifier = TokenVerifier(keys: keys, audience: .any)
        let known = try await token("{}", .es256, keyID: "one")
        let unknown = try await token("{}", .es256, keyID: "two")
        _ = try await verifier.verify(known)
        isAway.withLock { $0 = true }
        clock.advance(by: .seconds(400))
        await #expect(throws: KeysUnavailable.self) { try await verifier.verify(unknown) }
        _ = try await verifier.verify(known)
        clock.advance(by: .seconds(86_000))
        await #expect(throws: KeysUnavailable.self) { try await verifier.verify(known) }
        isAway.withLock { $0 = false }
        clock.advance(by: .seconds(60))
        _ = try await verifier.verify(known)
        #expect(try await refusal(of: unknown, by: verifier)?.code == .unknownKey)
        let heard = results.withLock { $0 }
        #expect(heard.count == fetches.withLock { $0 })
        #expect(heard.first == true && heard.contains(false) && heard.last == true)
    }

    @Test("A token that is verified at once needs keys that are there; otherwise their fetch begins")
    func tokenThatIsVerifiedAtOnce() async throws {
        let clock = ManualClock()
        let fetches = Mutex(0)
        let set = try await KeySet(
            jwks: Array(TestKeys.jwks(TestKeys.jwk(.es256, ["kid": "one"])).utf8), allowing: [.es256])
        let keys = try TokenKeys([.es256], KeySetLimits(), clock, quiet) {
            fetches.withLock { $0 += 1 }
            return set
        }
        let verifier = TokenVerifier(keys: keys, audience: .any)
        let known = try await token(#"{"sub":"alice"}"#, .es256, keyID: "one")
        let unknown = try await token("{}", .es256, keyID: "two")
        #expect(try verifier.verifyNow(known) == nil)
        #expect(try await verifier.verify(known).subject == "alice")
        #expect(fetches.withLock { $0 } == 1)
        #expect(try verifier.verifyNow(known)?.subject == "alice")
        #expect(throws: TokenRefusal.self) { try verifier.verifyNow(unknown) }
        // Later it may be a new one.
        clock.advance(by: .seconds(20))
        #expect(try verifier.verifyNow(unknown) == nil)
        #expect(try await refusal(of: unknown, by: verifier)?.code == .unknownKey)
        #expect(fetches.withLock { $0 } == 2)
        clock.advance(by: .seconds(90_000))
        #expect(try verifier.verifyNow(known) == nil)
        _ = try await verifier.verify(known)
        #expect(fetches.withLock { $0 } == 3)
    }

    @Test("A token that was verified before is refused when its key was rotated out")
    func tokenThatWasVerifiedIsRefused() async throws {
        let clock = ManualClock()
        var sets: [KeySet] = []
        for name in ["one", "two"] {
            let key = TestKeys.jwk(.es256, ["kid": name])
            sets.append(try await KeySet(jwks: Array(TestKeys.jwks(key).utf8), allowing: [.es256]))
        }
        let current = Mutex(sets[0])
        let keys = try TokenKeys([.es256], KeySetLimits(), clock, quiet) { current.withLock { $0 } }
        let verifier = TokenVerifier(keys: keys, audience: .any)
        let one = try await token("{}", .es256, keyID: "one")
        for _ in 0..<2 { _ = try await verifier.verify(one) }
        current.withLock { $0 = sets[1] }
        clock.advance(by: .seconds(20))
        _ = try await verifier.verify(token("{}", .es256, keyID: "two"))
        #expect(try await refusal(of: one, by: verifier)?.code == .unknownKey)
        #expect(throws: TokenRefusal.self) { try verifier.verifyNow(one) }
    }

    @Test("Keys can be fetched before they are needed")
    func keysCanBeFetchedBefore() async throws {
        try await FakeServer.run { server in
            server.answer(.ok, [:], TestKeys.jwks(TestKeys.jwk(.eddsa)))
            let keys = try TokenKeys(jwks: server.url, logger: quiet)
            try await keys.load()
            try await keys.load()
            _ = try await TokenVerifier(keys: keys, audience: .any).verify(token("{}", .eddsa))
            #expect(server.requests.count == 1)
            server.answer(.notFound, [:], "")
            let log = RecordingLog()
            let away = try TokenKeys(jwks: server.url, logger: log.logger)
            await #expect(throws: KeysUnavailable.self) { try await away.load() }
            #expect(log.lines.first?.contains("404") == true)
        }
        try await TokenKeys(text: TestKeys.secret).load()
    }

    @Test("No server listens where the keys should be")
    func nobodyListensWhereTheKeys() async throws {
        let keys = try TokenKeys(jwks: "http://127.0.0.1:1/", logger: quiet)
        let token = try await token("{}", .es256)
        await #expect(throws: KeysUnavailable.self) {
            try await TokenVerifier(keys: keys, audience: .any).verify(token)
        }
    }

    @Test(
        "A URL of a key set is one",
        arguments: [
            "", "keys.json", "ftp://keys.example/", "https://", "https:///keys", "https://user:pw@keys.example/",
            "http://keys.example/ x", "file:///keys", "http://keys.example:0/", "http://keys.example:65536/",
            "https://keys.example:99999999999999999999/", "http://keys.example:x/", "http://:80/",
            "http://[fe80::1%25eth0]/",
            "http://[::1/", "http://ke\u{FF59}s.example/", "http://keys.example/\u{301}", "http://keys.example\u{0}/",
            "http://user@keys.example/", "HTTP:/keys.example/",
        ])
    func urlOfAKeySet(url: String) {
        let error = #expect(throws: KeyError.self) { try TokenKeys(jwks: url, logger: quiet) }
        #expect(error?.description.contains("pw") == false)
    }

    @Test("A folder, a pipe or a device is no file of keys")
    func folderAPipe() async throws {
        let pipe = FileManager.default.temporaryDirectory.appending(path: "martlet-\(UUID())").path()
        #expect(mkfifo(pipe, 0o600) == 0)
        defer { try? FileManager.default.removeItem(atPath: pipe) }
        for path in [pipe, "/dev/zero", "/tmp"] {
            let log = RecordingLog()
            let keys = try TokenKeys(jwksFile: path, logger: log.logger)
            await #expect(throws: KeysUnavailable.self) {
                try await TestConnection.withPatience { try await keys.load() }
            }
            #expect(log.lines.first?.contains("not a file") == true)
        }
    }

    @Test("A file of keys has a bound")
    func fileOfKeys() async throws {
        let path = FileManager.default.temporaryDirectory.appending(path: "martlet-\(UUID()).json").path()
        defer { try? FileManager.default.removeItem(atPath: path) }
        let text = TestKeys.jwks(TestKeys.jwk(.es256))
        var limits = KeySetLimits.file
        limits.maximumBytes = text.utf8.count
        for (more, isTaken) in [("", true), (" ", false)] {
            try (text + more).write(toFile: path, atomically: true, encoding: .utf8)
            let keys = try TokenKeys(jwksFile: path, limits: limits, logger: quiet)
            let isLoaded = (try? await keys.load()) != nil
            #expect(isLoaded == isTaken)
        }
    }

    @Test("A file of keys may be a link to another one")
    func fileOfKeysMay() async throws {
        let folder = FileManager.default.temporaryDirectory.appending(path: "martlet \(UUID())")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: folder) }
        let link = folder.appending(path: "keys.json").path(percentEncoded: false)
        var limits = KeySetLimits.file
        limits.minimumInterval = .zero
        let keys = try TokenKeys(jwksFile: link, limits: limits, logger: quiet)
        for name in ["one", "two"] {
            let path = folder.appending(path: name).path(percentEncoded: false)
            try TestKeys.jwks(TestKeys.jwk(.es256, ["kid": name])).write(
                toFile: path, atomically: true, encoding: .utf8)
            try? FileManager.default.removeItem(atPath: link)
            try FileManager.default.createSymbolicLink(atPath: link, withDestinationPath: path)
            _ = try await TokenVerifier(keys: keys, audience: .any).verify(token("{}", .es256, keyID: name))
        }
    }

    @Test("A file of keys is read again when it has changed")
    func fileOfKeysIsRead() async throws {
        let path = FileManager.default.temporaryDirectory.appending(path: "martlet-\(UUID()).json").path()
        defer { try? FileManager.default.removeItem(atPath: path) }
        var limits = KeySetLimits.file
        limits.timeToLive = .zero
        limits.minimumInterval = .zero
        limits.firstBackOff = .zero
        let verifier = TokenVerifier(keys: try TokenKeys(jwksFile: path, limits: limits, logger: quiet), audience: .any)
        let one = try await token("{}", .es256, keyID: "one")
        let two = try await token("{}", .es256, keyID: "two")
        await #expect(throws: KeysUnavailable.self) { try await verifier.verify(one) }
        try TestKeys.jwks(TestKeys.jwk(.es256, ["kid": "one"])).write(toFile: path, atomically: true, encoding: .utf8)
        _ = try await verifier.verify(one)
        #expect(try await refusal(of: two, by: verifier)?.code == .unknownKey)
        try TestKeys.jwks(TestKeys.jwk(.es256, ["kid": "two"])).write(toFile: path, atomically: true, encoding: .utf8)
        _ = try await verifier.verify(two)
        #expect(try await refusal(of: one, by: verifier)?.code == .unknownKey)
        try "garbage".write(toFile: path, atomically: true, encoding: .utf8)
        _ = try await verifier.verify(two)
        try FileManager.default.removeItem(atPath: path)
        _ = try await verifier.verify(two)
        await #expect(throws: KeysUnavailable.self) { try await verifier.verify(one) }
    }
}
