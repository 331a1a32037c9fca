// SPDX-License-Identifier: Apache-2.0

import Foundation
import HTTPTypes
import Martlet
import MartletHTTP
import MartletOutgoing
import MartletSupport
import NIOHTTP1

/// An answer of the application: a grant, or a refusal.
struct ForwardAnswer: Sendable {
    let result: Result<Grant, Problem>
    /// How long the answer may be cached; zero: not at all.
    let age: Duration
    /// Whether it holds only for the same URI, or for the same client address (`Vary`).
    let variesByURI: Bool
    let variesByAddress: Bool

    /// - Throws: ``ForwardError`` if the answer is neither.
    init(_ answer: OutgoingRequest.Answer, limits: ForwardLimits, now: Date) throws(ForwardError) {
        switch answer.status {
        case 200: result = .success(try Self.grant(answer.body, now: now))
        case 401, 403: result = .failure(Self.refusal(answer, limits: limits))
        default: throw ForwardError("The answer has the status \(answer.status); 200, 401 and 403 are known.")
        }
        let vary = answer.headers[canonicalForm: "vary"]
        variesByURI = vary.contains { $0.isExactlyIgnoringCase("x-forwarded-uri") }
        variesByAddress = vary.contains { $0.isExactlyIgnoringCase("x-forwarded-for") }
        var age = vary.contains { $0.isExactly("*") } ? .zero : min(Self.maximumAge(answer.headers), limits.maximumAge)
        if case .success(let grant) = result, let end = grant.end {
            age = min(age, .seconds(end.timeIntervalSince(now)))
        }
        self.age = age
    }

    /// `max-age` of `Cache-Control` (RFC 9111 section 5.2.2.1); zero without, and with `no-store` or `no-cache`.
    private static func maximumAge(_ headers: HTTPHeaders) -> Duration {
        var age = Duration.zero
        for directive in headers[canonicalForm: "cache-control"] {
            let (first, value) = directive.cutExactly(at: UInt8(ascii: "=")) ?? (directive[...], "")
            let name = first.trimmingBlanks
            if ["no-store", "no-cache"].contains(where: name.isExactlyIgnoringCase) { return .zero }
            if name.isExactlyIgnoringCase("max-age") { age = seconds(value) }
        }
        return age
    }

    /// A number of seconds (RFC 9111 section 1.2.2), also in quotes. A number that is too large counts as the largest one,
    /// and any other text as zero.
    private static func seconds(_ text: Substring) -> Duration {
        let digits = text.utf8.filter { !$0.isBlank && $0 != UInt8(ascii: "\"") }
        guard !digits.isEmpty, digits.allSatisfy(\.isDigit) else { return .zero }
        return .seconds(UInt32(String(decoding: digits, as: UTF8.self)) ?? .max)
    }

    private static func grant(_ body: [UInt8], now: Date) throws(ForwardError) -> Grant {
        let json: JSONValue
        do { json = try JSONValue(parsing: body) } catch { throw ForwardError("The grant is malformed. \(error)") }
        guard case .object = json else { throw ForwardError("The grant is \(json.kind); it must be an object.") }
        return Grant(
            principal: try json.member("principal", "a string", \.stringValue),
            subscribe: try selectors("subscribe", in: json),
            seesAllPublic: try json.member("public", "true or false", \.boolValue) ?? false,
            publish: try selectors("publish", in: json),
            end: try end(json, now: now),
            payload: json["payload"].flatMap { $0.isNull ? nil : $0.text })
    }

    private static func selectors(_ name: String, in json: JSONValue) throws(ForwardError) -> Set<TopicSelector> {
        Set(try (json.member(name, "an array of strings", \.strings) ?? []).map { TopicSelector($0) })
    }

    private static func end(_ json: JSONValue, now: Date) throws(ForwardError) -> Date? {
        guard let value = json["expires"], !value.isNull else { return nil }
        let date: Date?
        switch value {
        case .string(let text): date = Date(rfc3339: text)
        default: date = value.doubleValue.map { Date(timeIntervalSince1970: max(0, min($0, 253_402_300_799))) }
        }
        guard let date else {
            throw ForwardError("The member expires must be a time (RFC 3339) or a number of seconds since 1970.")
        }
        guard date > now else { throw ForwardError("The member expires lies in the past, at \(date.timeText).") }
        return date
    }

    private static func refusal(_ answer: OutgoingRequest.Answer, limits: ForwardLimits) -> Problem {
        let status: HTTPResponse.Status = answer.status == 403 ? .forbidden : .unauthorized
        var detail = "The application refused this."
        if answer.headers.first(name: "content-type")?.asciiLowercased.startsExactly(with: "application/problem+json")
            == true,
            let said = (try? JSONValue(parsing: answer.body))?["detail"]?.stringValue, !said.isEmpty
        {
            detail = String(said.prefix(bytes: limits.maximumDetail))
        }
        var headers: HTTPFields = [:]
        if status == .unauthorized {
            headers[.wwwAuthenticate] = answer.headers.first(name: "www-authenticate") ?? "Bearer"
        }
        return Problem(status, detail, headers: headers)
    }
}

/// The reason why an answer of the application is not valid. It never contains credentials.
struct ForwardError: Error, CustomStringConvertible {
    let description: String

    init(_ description: String) { self.description = description }
}

extension JSONValue {
    /// A member of an object; `nil` if it is missing or null.
    fileprivate func member<Value>(
        _ name: String, _ kind: String, _ read: (JSONValue) -> Value?
    ) throws(ForwardError) -> Value? {
        guard let member = self[name], !member.isNull else { return nil }
        guard let value = read(member) else { throw ForwardError("The member \(name) must be \(kind).") }
        return value
    }
}
