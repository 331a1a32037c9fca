// SPDX-License-Identifier: Apache-2.0

import Foundation
import HTTPTypes
import Logging
import MartletHTTP
import MartletSupport
import NIOCore
import Testing

@testable import MartletAuth

let quiet = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }

/// The time of day in these tests: 2026-01-02T03:04:05Z.
let testTime = Date(timeIntervalSince1970: 1_767_323_045)

func json(_ text: String) throws -> JSONValue { try JSONValue(parsing: text.utf8) }

/// A token that the test key of an algorithm signs.
func token(_ claims: String = "{}", _ algorithm: TokenAlgorithm = .hs256, keyID: String? = nil) async throws -> String {
    try await TokenSigner(text: TestKeys.privateText(algorithm), algorithm: algorithm)
        .token(claiming: try json(claims), keyID: keyID)
}

/// A token of which every part is as given.
func token(header: String, claims: String = "{}", signature: [UInt8] = Array("signature".utf8)) -> String {
    [Array(header.utf8), Array(claims.utf8), signature].map { Base64URL.encode($0) }.joined(separator: ".")
}

/// Verifies with the test secret at the time of these tests.
func verifier(leeway: Duration = .zero) async throws -> TokenVerifier {
    TokenVerifier(keys: try await TokenKeys(text: TestKeys.secret), audience: .any, leeway: leeway) { testTime }
}

/// Why a token is refused. `nil`: it is not.
func refusal(of token: String, by verifier: TokenVerifier) async throws -> TokenRefusal? {
    do {
        _ = try await verifier.verify(token)
        return nil
    } catch let refusal as TokenRefusal {
        return refusal
    }
}

func request(
    _ method: HTTPRequest.Method = .get, _ target: String = "/events/a", _ headers: [(HTTPField.Name, String)] = [],
    address: String = "127.0.0.1"
) -> HubRequest {
    var fields: HTTPFields = [:]
    for (name, value) in headers { fields.append(HTTPField(name: name, value: value)) }
    return HubRequest(
        method: method, target: target, authority: "hub.example", headers: fields,
        remoteAddress: try? SocketAddress(ipAddress: address, port: 1))
}

/// The problem that a closure throws. `nil`: none.
func problem(_ body: () async throws -> some Any) async throws -> Problem? {
    do {
        _ = try await body()
        return nil
    } catch let problem as Problem {
        return problem
    }
}
