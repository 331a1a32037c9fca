// SPDX-License-Identifier: Apache-2.0

import Crypto
import Foundation
import JWTKit
import MartletSupport
import Synchronization
import Testing

@testable import MartletAuth

@Suite struct TokenVerifierTests {
    @Test("A token of every algorithm is verified with the public key", arguments: TokenAlgorithm.allCases)
    func tokenOfEveryAlgorithm(algorithm: TokenAlgorithm) async throws {
        let keys = try await TokenKeys(text: TestKeys.publicText(algorithm), algorithm: algorithm)
        #expect(keys.algorithms == [algorithm])
        let verifier = TokenVerifier(keys: keys, audience: .any)
        let token = try await token(#"{"sub":"alice","n":12345678901234567890}"#, algorithm)
        let verified = try await verifier.verify(token)
        #expect(verified.subject == "alice")
        #expect(verified.expiry == nil)
        #expect(verified.mercure == nil)
        #expect(verified.claims["n"] == .number("12345678901234567890"))

        let claims = try #require(token.split(separator: ".").dropFirst().first)
        let forged = token.replacing(claims, with: Base64URL.encode(#"{"sub":"mallory"}"#.utf8))
        #expect(try await refusal(of: forged, by: verifier)?.code == .badSignature)
    }

    @Test("A token that was verified before is judged by the present time")
    func tokenThatWasVerified() async throws {
        let time = Mutex(testTime)
        let keys = try await TokenKeys(text: TestKeys.secret)
        let verifier = TokenVerifier(keys: keys, audience: .any) { time.withLock { $0 } }
        let token = try await token(#"{"sub":"alice","nbf":1767323045,"exp":1767323046}"#)
        for _ in 0..<3 {
            #expect(try await verifier.verify(token).subject == "alice")
            #expect(try await refusal(of: token + "A", by: verifier) != nil)
            time.withLock { $0 += 1 }
            #expect(try await refusal(of: token, by: verifier)?.code == .expired)
            time.withLock { $0 -= 2 }
            #expect(try await refusal(of: token, by: verifier)?.code == .notYetValid)
            time.withLock { $0 += 1 }
        }
    }

    @Test("A token is verified however long it is, also again", arguments: [100, 2000, 5000])
    func tokenIsVerifiedHoweverLong(length: Int) async throws {
        let verifier = try await verifier()
        let name = String(repeating: "a", count: length)
        let token = try await token(#"{"sub":"\#(name)"}"#)
        for _ in 0..<2 { #expect(try await verifier.verify(token).subject == name) }
    }

    @Test("Signatures of another library are verified")
    func whatAnotherLibrarySigns() async throws {
        struct Claims: JWTPayload {
            var sub: String
            var exp: Int
            func verify(using algorithm: some JWTAlgorithm) {}
        }
        let keys = await JWTKeyCollection().add(hmac: HMACKey(from: TestKeys.secret), digestAlgorithm: .sha256)
        let token = try await keys.sign(Claims(sub: "alice", exp: 1_767_323_046))
        let verified = try await verifier().verify(token)
        #expect(verified.subject == "alice")
        #expect(verified.expiry == testTime.addingTimeInterval(1))
    }

    @Test(
        "A token is valid from nbf to exp",
        arguments: [
            // exp, nbf, leeway in seconds, code
            ("1767323046", nil, 0, nil), ("1767323045", nil, 0, .expired), ("1767323045.5", nil, 0, nil),
            ("1767323035", nil, 11, nil), ("1767323035", nil, 10, .expired), ("1e999", nil, 0, nil),
            ("-1e999", nil, 0, .expired), ("0", nil, 0, .expired), ("null", nil, 0, nil),
            (nil, "1767323045", 0, nil), (nil, "1767323046", 0, .notYetValid), (nil, "1767323055", 10, nil),
            (nil, "1767323056", 10, .notYetValid), ("\"1767323046\"", nil, 0, .claimMalformed),
            (nil, "true", 0, .claimMalformed), ("[]", nil, 0, .claimMalformed),
        ] as [(String?, String?, Int, TokenRefusal.Code?)])
    func tokenIsValidFromNbf(
        exp: String?, nbf: String?, leeway: Int, code: TokenRefusal.Code?
    ) async throws {
        let members = [exp.map { "\"exp\":\($0)" }, nbf.map { "\"nbf\":\($0)" }].compactMap { $0 }
        let token = try await token("{\(members.joined(separator: ","))}")
        #expect(try await refusal(of: token, by: verifier(leeway: .seconds(leeway)))?.code == code)
    }

    @Test("The leeway is part of the expiry, so that a stream is not ended before its token")
    func leewayIsPart() async throws {
        let verified = try await verifier(leeway: .seconds(10)).verify(token(#"{"exp":1767323040}"#))
        #expect(verified.expiry == testTime.addingTimeInterval(5))
    }

    @Test("An expiry that no calendar has is in the year 9999")
    func expiryThatNoCalendar() async throws {
        let verified = try await verifier().verify(token(#"{"exp":1e300}"#))
        #expect(verified.expiry?.timeText == "9999-12-31T23:59:59Z")
    }

    @Test(
        "Text that is not a signed token is malformed",
        arguments: [
            "", ".", "..", "...", "a.b", "a.b.c", "a.b.c.d", "e30.e30.", "e30.e30.e30", "=.=.=", " e30.e30.e30",
            "e30=.e30.e30", "e30.e30.e30\n", "ey\u{0}.e30.e30", "é.é.é", "bnVsbA.e30.e30", "W10.e30.e30",
        ])
    func whatIsNoSignedToken(token: String) async throws {
        #expect(try await refusal(of: token, by: verifier())?.code == .malformed)
    }

    @Test(
        "A header is understood or refused",
        arguments: [
            (#"{"alg":"HS256","crit":["exp"]}"#, .unsupported), (#"{"alg":"HS256","crit":[]}"#, .unsupported),
            (#"{"alg":"HS256","kid":7}"#, .malformed), (#"{"alg":7}"#, .malformed), (#"{"typ":"JWT"}"#, .malformed),
            (#"{"alg":"HS256","alg":"HS256"}"#, .malformed), (#"{"alg":"HS256"} {}"#, .malformed),
            (#"{"alg":"HS256","n":1e300,"m":-1e999}"#, .badSignature),
        ] as [(String, TokenRefusal.Code)])
    func headerIsUnderstoodOrRefused(header: String, code: TokenRefusal.Code) async throws {
        #expect(try await refusal(of: token(header: header), by: verifier())?.code == code)
    }

    @Test("An encrypted token is refused as such")
    func encryptedTokenIsRefused() async throws {
        #expect(try await refusal(of: "e30.e30.e30.e30.e30", by: verifier())?.code == .unsupported)
    }

    @Test("A token has 8192 bytes at most")
    func tokenHas8192Bytes() async throws {
        let verifier = try await verifier()
        func token(payload: Int) async throws -> String {
            try await MartletAuthTests.token(#"{"sub":"\#(String(repeating: "a", count: payload))"}"#)
        }
        let overhead = try await token(payload: 0).utf8.count
        let most = (TokenVerifier.maximumTokenBytes - overhead) * 3 / 4
        let longest = try await token(payload: most)
        #expect(longest.utf8.count > TokenVerifier.maximumTokenBytes - 4)
        #expect(try await refusal(of: longest, by: verifier) == nil)
        #expect(try await refusal(of: try await token(payload: most + 3), by: verifier)?.code == .tooLong)
    }

    @Test(
        "Claims of another type are refused",
        arguments: [
            (#"{"mercure":[]}"#, .claimMalformed), (#"{"mercure":"*"}"#, .claimMalformed),
            (#"{"mercure":{"publish":"*"}}"#, .claimMalformed), (#"{"mercure":{"publish":[1]}}"#, .claimMalformed),
            (#"{"mercure":{"subscribe":{}}}"#, .claimMalformed), (#"{"https://mercure.rocks/":1}"#, .claimMalformed),
            (#"{"sub":7}"#, .claimMalformed), ("[]", .malformed), ("7", .malformed), ("{", .malformed),
            (#"{"sub":"a","sub":"b"}"#, .malformed), (#"{"mercure":null}"#, nil), (#"{"mercure":{}}"#, nil),
        ] as [(String, TokenRefusal.Code?)])
    func claimsOfAnotherType(claims: String, code: TokenRefusal.Code?) async throws {
        let signature = HMAC<SHA256>.authenticationCode(
            for: Data("\(Base64URL.encode(#"{"alg":"HS256"}"#.utf8)).\(Base64URL.encode(claims.utf8))".utf8),
            using: SymmetricKey(data: Data(TestKeys.secret.utf8)))
        let token = token(header: #"{"alg":"HS256"}"#, claims: claims, signature: Array(signature))
        #expect(try await refusal(of: token, by: verifier())?.code == code)
    }

    @Test("The claim mercure is read under both its names")
    func claimMercureIsReadUnder() async throws {
        let short = try await verifier().verify(
            token(#"{"mercure":{"publish":["a"],"subscribe":["*","b/{c}"],"payload":{"z":1,"a":[null]}}}"#))
        #expect(short.mercure?.publish == ["a"])
        #expect(short.mercure?.subscribe == ["*", "b/{c}"])
        #expect(short.mercure?.payload?.text == #"{"a":[null],"z":1}"#)
        let long = try await verifier().verify(
            token(#"{"https://mercure.rocks/":{"publish":[]},"mercure":{"publish":["a"]}}"#))
        #expect(long.mercure == MercureClaim(publish: []))
        let neither = try await verifier().verify(token(#"{"mercure":{"publish":null,"payload":null}}"#))
        #expect(neither.mercure == MercureClaim())
    }
}
