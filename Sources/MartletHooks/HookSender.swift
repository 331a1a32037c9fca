// SPDX-License-Identifier: Apache-2.0

import Crypto
import Foundation
import Martlet
import MartletOutgoing
import MartletSupport
import NIOHTTP1

/// Sends signed hooks to the receiver.
struct HookSender: Sendable {
    private let configuration: HookConfiguration
    private let now: @Sendable () -> Date

    init(_ configuration: HookConfiguration, now: @escaping @Sendable () -> Date = { Date() }) {
        self.configuration = configuration
        self.now = now
    }

    /// - Throws: ``HookFailure`` unless the receiver answers with a status from 200 to 299; `CancellationError`.
    func send(_ body: [UInt8]) async throws {
        var request = OutgoingRequest(
            url: configuration.url, timeout: configuration.limits.timeout,
            maximumBytes: HookLimits.answerBytes)
        let timestamp = String(Int(now().timeIntervalSince1970))
        request.body = body
        request.headers.add(name: "content-type", value: "application/json")
        request.headers.add(name: "martlet-timestamp", value: timestamp)
        if let signature = Self.signature(of: body, at: timestamp, with: configuration.secrets) {
            request.headers.add(name: "martlet-signature", value: signature)
        }
        let answer: OutgoingRequest.Answer
        do { answer = try await request.send() } catch let error as CancellationError { throw error } catch {
            throw HookFailure("\(error)")
        }
        guard !(200...299).contains(answer.status) else { return }
        let wait = RetryAfter.wait(
            answer.headers.first(name: "retry-after"), date: answer.headers.first(name: "date"),
            now: Int(now().timeIntervalSince1970))
        let isRedirect = (300...399).contains(answer.status)
        throw HookFailure(
            "The answer has the status \(answer.status); "
                + (isRedirect
                    ? "redirects are not followed, so set the URL that they lead to." : "200 to 299 are success."),
            retryAfter: wait)
    }

    /// One signature with each secret; `nil` without secrets.
    static func signature(of body: [UInt8], at timestamp: String, with secrets: [HookSecret]) -> String? {
        guard !secrets.isEmpty else { return nil }
        return secrets.map { secret in
            var code = HMAC<SHA256>(key: SymmetricKey(data: secret.bytes))
            code.update(data: Data("\(timestamp).".utf8))
            code.update(data: body)
            return "v1=" + code.finalize().map(\.hexText).joined()
        }.joined(separator: ",")
    }
}

/// The reason why hooks were not delivered. It contains nothing of the answer but its status.
struct HookFailure: Error, CustomStringConvertible {
    let description: String
    /// How long the receiver asks to wait.
    var retryAfter: Duration

    init(_ description: String, retryAfter: Duration = .zero) {
        self.description = description
        self.retryAfter = retryAfter
    }
}
