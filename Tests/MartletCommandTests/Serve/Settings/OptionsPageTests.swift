// SPDX-License-Identifier: Apache-2.0

import Foundation
import Testing

@testable import MartletCommand

@Suite("The page of options")
struct OptionsPageTests {
    private struct Row {
        let name, defaultText, variable, meaning: String
    }

    /// The rows of docs/options.md that begin with an option, without Markdown.
    private static let rows: [Row] = {
        let root = (0..<5).reduce(URL(filePath: #filePath)) { url, _ in url.deletingLastPathComponent() }
        let page = (try? String(contentsOf: root.appending(path: "docs/options.md"), encoding: .utf8)) ?? ""
        return page.split(separator: "\n").filter { $0.hasPrefix("| `--") }.map { line in
            let cells = line.split(separator: "|").map { cell in
                cell.replacing("`", with: "").replacing(/\[([^\]]*)\]\([^)]*\)/) { $0.output.1 }
                    .trimmingCharacters(in: .whitespaces)
            }
            return Row(name: cells[0], defaultText: cells[1], variable: cells[2], meaning: cells[3])
        }
    }()

    @Test("The page has every option, in the order of the help")
    func names() {
        #expect(Self.rows.map(\.name) == HubSettings.table.map { "--\($0.name)" })
    }

    @Test("An option has the default, the variable and the meaning of the help", arguments: HubSettings.table)
    func row(setting: Setting) throws {
        let row = try #require(Self.rows.first { $0.name == "--\(setting.name)" })
        #expect(row.defaultText == setting.defaultText)
        #expect(row.variable == setting.variable)
        #expect(row.meaning.hasPrefix(setting.help + "."))
    }
}
