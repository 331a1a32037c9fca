// SPDX-License-Identifier: Apache-2.0

/// A response, as it came.
package struct TestResponse {
    package let status: Int
    package let head: String
    package let body: String

    package init(_ text: String) {
        let end = text.utf8.firstRange(of: "\r\n\r\n".utf8)
        head = String(text[..<(end?.lowerBound ?? text.endIndex)])
        body = end.map { String(text[$0.upperBound...]) } ?? ""
        status = Int(head.split(separator: " ").dropFirst().first ?? "") ?? 0
    }

    package func header(_ name: String) -> String? {
        for line in head.split(separator: "\r\n").dropFirst() {
            let parts = line.split(separator: ":", maxSplits: 1)
            if parts[0].lowercased() == name.lowercased() { return parts[1].drop { $0 == " " }.description }
        }
        return nil
    }
}
