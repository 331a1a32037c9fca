// SPDX-License-Identifier: Apache-2.0

import EventStream
import Foundation
import MartletClient
import Testing

@Suite("Examples of the documentation") struct DocumentationTests {
    private struct Order {
        var number: Int
        var status: String
    }

    private actor Tokens {
        func current() async throws -> String? { nil }
    }

    /// The example in `docs/library.md`, so that it compiles.
    private func example(_ orders: [Order], _ tokens: Tokens) async throws {
        let hub = HubClient("http://localhost:8080") { try await tokens.current() }
        let id = try await hub.publish("shipped", to: "orders/42", type: "status")
        let events = orders.map { HubEvent($0.status, to: "orders/\($0.number)") }
        try await hub.publish(contentsOf: events, once: "import-7")
        for try await event in hub.subscribe(to: "orders/42", lastEventID: id) {
            print(event.data ?? "")
        }
    }

    @Test("The example of a client of a hub is in this file")
    func hubClient() throws {
        let file = URL(filePath: #filePath)
        let page = file.deletingLastPathComponent().appending(path: "../../docs/library.md")
        let text = try String(contentsOf: page, encoding: .utf8)
        let blocks = text.components(separatedBy: "```swift\n").dropFirst().map {
            $0.components(separatedBy: "\n```")[0]
        }
        let example = try #require(blocks.first { $0.contains("HubClient(") })
        let source = try String(contentsOf: file, encoding: .utf8)
        let indented = example.components(separatedBy: "\n").map { "        \($0)" }.joined(separator: "\n")
        #expect(source.contains(indented))
    }
}
