// SPDX-License-Identifier: Apache-2.0

import Testing

@testable import MartletBench

@Suite("Scanner of answers to the publisher")
struct AnswerScannerTests {
    private func items(_ responses: String, cutAt cut: Int) -> [AnswerScanner.Item] {
        let bytes = Array(responses.utf8)
        var scanner = AnswerScanner()
        var items: [AnswerScanner.Item] = []
        for piece in [Array(bytes[..<cut]), Array(bytes[cut...])] {
            var position = 0
            while let item = scanner.next(in: piece.span, from: &position) { items.append(item) }
        }
        if let item = scanner.end() { items.append(item) }
        return items
    }

    @Test("Responses of all framings follow each other, wherever they are cut")
    func pipelined() {
        let responses = """
            HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n12345\
            HTTP/1.1 204 No Content\r\n\r\n\
            HTTP/1.1 100 Continue\r\n\r\n\
            HTTP/1.1 202 Accepted\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n\
            HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\nConnection: keep-alive, Close\r\n\r\n\
            HTTP/1.0 200 OK\r\n\r\nup to the end
            """
        let expected: [AnswerScanner.Item] = [
            .answer(status: 200, closes: false), .answer(status: 204, closes: false),
            .answer(status: 202, closes: false), .answer(status: 503, closes: true),
            .answer(status: 200, closes: true),
        ]
        for cut in 0...responses.utf8.count {
            #expect(items(responses, cutAt: cut) == expected)
        }
    }

    @Test("Text that is not HTTP is malformed")
    func malformed() {
        #expect(items("220 mail.example.com ESMTP\r\n\r\n", cutAt: 5).first == .malformed(.other))
    }

    @Test("The end of the connection does not end a response that says its length")
    func cutOff() {
        #expect(items("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n1234", cutAt: 0) == [])
        #expect(items("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n", cutAt: 0) == [])
        #expect(items("HTTP/1.1 200 OK\r\nConte", cutAt: 0) == [])
    }
}
