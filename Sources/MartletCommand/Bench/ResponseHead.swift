// SPDX-License-Identifier: Apache-2.0

import MartletOutgoing
import MartletSupport

/// The parts of an HTTP response's head that matter here.
struct ResponseHead: Equatable, Sendable {
    let status: Int
    /// The media type in lower case, without its parameters; `nil` where there is none.
    private(set) var mediaType: String?
    private(set) var isChunked = false
    private(set) var contentLength: Int?
    /// How the body is encoded so that it cannot be read as it is: `gzip`.
    private(set) var coding: String?
    /// Whether the server closes the connection after the response.
    private(set) var closes: Bool

    /// - Parameter text: The head up to and including the blank line, or up to the line before it.
    /// - Returns: nil if it does not begin with a status line of HTTP/1, or says what HTTP/1 does not.
    init?(_ text: String) {
        let lines = text.utf8.split(whereSeparator: { $0 == 0x0A || $0 == 0x0D }).map { Substring($0) }
        let words = lines.first?.splitExactly(at: UInt8(ascii: " ")) ?? []
        guard words.count >= 2, words[0].startsExactly(with: "HTTP/1."), words[1].utf8.count == 3,
            words[1].utf8.allSatisfy(\.isDigit), let status = Int(words[1]), status >= 100
        else { return nil }
        self.status = status
        closes = words[0].isExactly("HTTP/1.0")

        var fields: [(name: String, value: Substring)] = []
        for line in lines.dropFirst() {
            guard let (name, value) = line.cutExactly(at: UInt8(ascii: ":")) else { continue }
            fields.append((name.asciiLowercased, value.trimmingBlanks))
        }
        func values(_ name: String) -> [String] {
            fields.filter { $0.name.isExactly(name) }.flatMap { $0.value.splitExactly(at: UInt8(ascii: ",")) }
                .map { $0.trimmingBlanks.asciiLowercased }.filter { !$0.isEmpty }
        }
        mediaType = MediaType.essence(of: fields.filter { $0.name.isExactly("content-type") }.map { String($0.value) })
        let transferCodings = values("transfer-encoding")
        isChunked = transferCodings.last?.isExactly("chunked") == true
        coding = (transferCodings + values("content-encoding")).first {
            !$0.isExactly("chunked") && !$0.isExactly("identity")
        }
        for length in values("content-length") {
            guard length.utf8.allSatisfy(\.isDigit), let length = Int(length), contentLength ?? length == length else {
                return nil
            }
            contentLength = length
        }
        let connection = values("connection")
        closes =
            connection.contains { $0.isExactly("close") }
            || closes && !connection.contains { $0.isExactly("keep-alive") }
    }
}
