// SPDX-License-Identifier: Apache-2.0

import Foundation
import HTTPTypes
import Hummingbird
import HummingbirdCore
import Martlet
import MartletHTTP
import NIOCore
import NIOEmbedded
import TestSupport
import Testing

@Suite struct BatchFuzzTests {
    private static let corpus = [
        #"{"topic":"a","data":"b"}"# + "\n",
        #"{"topic":"a","data":"b","id":"1","type":"t","retry":3000,"key":"k","private":true}"# + "\n\r\n"
            + #"{"topic":"c"}"#,
        "\u{FEFF}" + #" {"topic":"\u00e9","data":"\ud83d\ude00"} "#,
    ]

    private static let pieces = [
        "{", "}", "[", "]", ",", ":", "\"", "\\", "\\u0000", "\\ud800", "\\u0301", "\n", "\r", "\t", " ", "null",
        "true", "-1",
        "1e999", "1.5", "0", "99999999999999999999", "3000", "\"topic\"", "\"topic\":\"a\",", "\"data\":",
        "\"id\":\"#a\",",
        "\"retry\":", "\"private\":", "\"key\":\"\u{301}\",", "\"other\":1,", "\u{301}", "\u{FEFF}", "\u{1F426}", "\0",
        "\u{85}",
        "{\"topic\":\"a\"}\n", String(repeating: "[", count: 600),
    ]

    @Test("A batch is published as a whole where each of its lines is an event, else refused")
    func readsAnyBatch() async throws {
        let hub = quickHub(retention: Retention(events: 1000)) { $0.windowBytes = 1024 * 1024 }
        let running = Task { try await hub.run() }
        let router = Router(context: BasicEventStreamRequestContext.self)
        router.add(middleware: ProblemMiddleware())
        router.addHub(hub, access: Access { _, _, _ in Grant(publish: [.every]) })
        let responder = router.buildResponder()
        let channel = EmbeddedChannel()
        var input = FuzzInput(pieces: Self.pieces)
        while await input.next(from: Self.corpus) {
            let head = HTTPRequest(
                method: .post, scheme: "http", authority: "localhost", path: "/events",
                headerFields: [.contentType: "application/x-ndjson"])
            let request = Request(head: head, body: RequestBody(buffer: ByteBuffer(bytes: input.bytes)))
            let context = BasicEventStreamRequestContext(
                source: ApplicationRequestContextSource(channel: channel, logger: quiet))
            let status: Int
            do {
                status = try await responder.respond(to: request, context: context).status.code
            } catch let error as any HTTPResponseError {
                status = error.status.code
            }
            guard [200, 400, 403, 413].contains(status) else { return input.fail("answered with \(status)") }
            // Another reader of JSON takes what was taken.
            let lines = input.bytes.split(separator: 0x0A).filter {
                !$0.allSatisfy { [0x20, 0x09, 0x0D].contains($0) }
            }
            guard status != 200 || lines.allSatisfy(Self.isObject) else { return input.fail("taken") }
        }
        running.cancel()
        try await running.value
    }

    private static func isObject(_ line: some Collection<UInt8>) -> Bool {
        (try? JSONSerialization.jsonObject(with: Data(line))) is [String: Any]
    }
}
