// SPDX-License-Identifier: Apache-2.0

/// The parts of an HTTP response's head that matter here.
struct ResponseHead: Equatable, Sendable {
    let status: Int
    /// The media type in lowercase, without its parameters; empty if there is none.
    private(set) var mediaType = ""
    private(set) var isChunked = false
    private(set) var contentLength: Int?
    /// Whether the server closes the connection after the response.
    private(set) var closes: Bool

    /// - Parameter text: The head up to and including the blank line, or up to the line before it.
    /// - Returns: nil if it does not begin with a status line of HTTP/1.
    init?(_ text: String) {
        let lines = text.split(whereSeparator: \.isNewline)
        let words = lines.first?.split(separator: " ") ?? []
        guard words.count >= 2, words[0].hasPrefix("HTTP/1."), words[1].utf8.count == 3, let status = Int(words[1])
        else { return nil }
        self.status = status
        closes = words[0] == "HTTP/1.0"
        for line in lines.dropFirst() {
            let parts = line.split(separator: ":", maxSplits: 1)
            guard parts.count == 2 else { continue }
            let value = parts[1].lowercased().split(whereSeparator: { " \t,;".contains($0) })
            switch parts[0].lowercased() {
            case "content-type": mediaType = value.first.map { String($0) } ?? ""
            case "transfer-encoding": isChunked = value.last == "chunked"
            case "content-length": contentLength = value.first.flatMap { Int($0) }.flatMap { $0 < 0 ? nil : $0 }
            case "connection": closes = value.contains("close") || closes && !value.contains("keep-alive")
            default: break
            }
        }
    }
}
