// SPDX-License-Identifier: Apache-2.0

import HTTPTypes
import MartletHTTP
import MartletSupport
import TestSupport
import Testing

@testable import MartletAuth

@Suite struct TokenFuzzTests {
    private static let seed = FuzzSettings.seed
    private static let count = FuzzSettings.count ?? 20_000

    @Test("A token that is changed anywhere is refused, with a reason")
    func tokenThatIsChangedAnywhere() async throws {
        var random = SeededGenerator(seed: Self.seed)
        let verifier = try await verifier()
        let good = Array(try await token(#"{"sub":"alice","exp":1767323999,"mercure":{"publish":["*"]}}"#).utf8)
        let bytes = Array("ABCabc019-_.=+/ \"{}\u{0}\u{7F}é".utf8)
        for _ in 0..<Self.count {
            var changed = good
            for _ in 0..<Int.random(in: 1...3, using: &random) {
                let index = Int.random(in: changed.indices, using: &random)
                let byte = bytes.randomElement(using: &random) ?? 0
                switch Int.random(in: 0..<4, using: &random) {
                case 0: changed[index] = byte
                case 1: changed.insert(byte, at: index)
                case 2: changed.remove(at: index)
                default: changed.removeSubrange(index..<min(changed.count, index + 9))
                }
            }
            let text = String(decoding: changed, as: UTF8.self)
            let refusal = try await refusal(of: text, by: verifier)
            #expect((refusal == nil) == (changed == good), "MARTLET_FUZZ_SEED=\(Self.seed): \(text)")
        }
    }

    @Test("A token of any parts is refused, with a reason")
    func tokenOfAnyParts() async throws {
        var random = SeededGenerator(seed: Self.seed)
        let verifier = try await verifier()
        let pieces = [
            "{", "}", "[", "]", ":", ",", "\"alg\"", "\"HS256\"", "\"none\"", "\"kid\"", "\"crit\"", "1", "-1e999",
            "null",
            "\\u0000", "\"", "\\", "{\"alg\":\"HS256\"}", "{\"alg\":\"HS256\",", "é", "\u{0}", " ",
        ]
        for _ in 0..<Self.count {
            func part() -> String {
                let text = (0..<Int.random(in: 0...6, using: &random))
                    .map { _ in pieces.randomElement(using: &random) ?? "" }.joined()
                return Bool.random(using: &random) ? Base64URL.encode(text.utf8) : text
            }
            let text = (0..<Int.random(in: 1...5, using: &random)).map { _ in part() }.joined(separator: ".")
            #expect(try await refusal(of: text, by: verifier) != nil, "MARTLET_FUZZ_SEED=\(Self.seed): \(text)")
        }
    }

    @Test("Any headers name a principal, or none, or are refused with 401")
    func anyHeadersAreSomebodyNobody() async throws {
        var random = SeededGenerator(seed: Self.seed)
        let good = try await token(#"{"sub":"alice"}"#)
        let authenticator = TokenAuthenticator(
            subscriber: try await verifier(), publisher: nil, rules: CredentialRules(acceptsQueryParameter: true))
        let pieces = [
            "Bearer", "bearer ", " ", "=", ";", "; ", "\"", "mercureAuthorization", "mercureAuthorization=", ",", "a",
            "%",
            "%41", "&", "?", "authorization", "authorization=", "é", "\t", good,
        ]
        var known = 0
        for _ in 0..<Self.count {
            func text() -> String {
                (0..<Int.random(in: 0...5, using: &random)).map { _ in pieces.randomElement(using: &random) ?? "" }
                    .joined()
            }
            var headers: [(HTTPField.Name, String)] = []
            for name in [HTTPField.Name.authorization, .cookie, .cookie, .origin, .referer]
            where Int.random(in: 0..<4, using: &random) == 0 {
                headers.append((name, text()))
            }
            let request = request(Bool.random(using: &random) ? .get : .post, "/?" + text(), headers)
            do {
                let principal = try await authenticator.principal(of: request, to: .subscribe)
                if principal != nil { known += 1 }
            } catch {
                #expect(error.status == .unauthorized, "MARTLET_FUZZ_SEED=\(Self.seed): \(headers)")
                #expect(!error.detail.contains(good))
            }
        }
        #expect(known > Self.count / 5000)
    }
}
