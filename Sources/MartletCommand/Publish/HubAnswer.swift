// SPDX-License-Identifier: Apache-2.0

import Foundation
import MartletSupport

/// What a hub says to a batch.
enum HubAnswer: Equatable, Sendable {
    /// It is published, under these ids.
    case published([String])
    case refused(Refusal)
    /// Not now, or nobody knows: ask again with the same key, after a while that is at least so long.
    case later(String, wait: Duration)
    /// This is no hub's answer.
    case strange(String)

    /// - Parameters:
    ///   - mediaType: The content type without its parameters, in lower case; `nil` where there is none.
    ///   - wait: What the hub asks to wait.
    ///   - count: How many events were sent.
    init(status: Int, mediaType: String?, wait: Duration, body: [UInt8], count: Int) {
        switch status {
        case 200:
            let ids = body.split(separator: 0x0A).map { String(decoding: $0, as: UTF8.self) }
            self =
                mediaType?.isExactly("text/plain") == true && ids.count == count
                ? .published(ids) : .strange("the answer is not that of a Martlet hub; check the URL")
        case 408, 425, 429, 500...599:
            let detail = Refusal.Problem(body)?.detail.map { ": \($0)" } ?? ""
            self = .later("the server answered \(status)\(detail)", wait: wait)
        default:
            self = .refused(Refusal(status: status, body: body))
        }
    }
}

/// A hub does not want a batch, whole as it is.
struct Refusal: Equatable, Sendable {
    /// A problem document (RFC 9457), as far as it matters.
    struct Problem: Decodable {
        let detail: String?
        let field: String?
        let line: Int?

        init?(_ body: [UInt8]) {
            guard let problem = try? JSONDecoder().decode(Self.self, from: Data(body)) else { return nil }
            self = problem
        }
    }

    let status: Int
    /// What is wrong and what to do.
    let detail: String
    /// The line of the batch at fault, counted from 1; `nil` where the hub does not name one.
    let line: Int?

    init(status: Int, body: [UInt8]) {
        let problem = Problem(body)
        let hints = [401: "the hub asks for a token; give --token-file", 404: "check that the URL is that of a hub"]
        self.status = status
        detail = problem?.detail ?? hints[status] ?? "the server answered \(status)"
        line = problem?.line
    }

    /// How many of the lines to try without the others, to find the one at fault and to publish what is before it;
    /// `nil` where it is the first, or all are.
    func lines(toTryOf count: Int) -> Int? {
        if let line, (1...count).contains(line) { return line > 1 ? line - 1 : nil }
        return Self.concernsEvents(status) && count > 1 ? count / 2 : nil
    }

    /// Whether it is about one event, which is the first when there are none left to try.
    var isOfOneLine: Bool { line != nil || Self.concernsEvents(status) }

    /// Whether some events of a batch may be the reason, in place of the request: what they are, where they go, how
    /// many.
    private static func concernsEvents(_ status: Int) -> Bool { [400, 403, 413, 422].contains(status) }
}
