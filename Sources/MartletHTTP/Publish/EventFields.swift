// SPDX-License-Identifier: Apache-2.0

import HTTPTypes
import MartletSupport

/// What a publisher says about its event besides the data: in the query (`?type=shipped`), else in headers
/// (`Event-Type: shipped`).
struct EventFields {
    private(set) var id: String?
    private(set) var type: String?
    private(set) var retry: Int?
    private(set) var key: String?
    private(set) var isPrivate = false

    private static let names = ["id", "type", "retry", "key", "private"]

    init(query: [(name: String, value: String)], headers: HTTPFields) throws(Problem) {
        let unknown = query.first { field in !Self.names.contains { $0.isExactly(field.name) } }
        if let unknown {
            let known = Self.names.joined(separator: ", ")
            throw Problem(.badRequest, "There is no parameter \(unknown.name), only \(known).", field: unknown.name)
        }
        func value(_ name: String) -> String? {
            query.values(name).last ?? HTTPField.Name("Event-\(name)").flatMap { headers[$0] }
        }
        id = value("id")
        type = value("type")
        key = value("key")
        retry = try value("retry").map(Self.retry)
        isPrivate = try value("private").map(Self.flag) ?? false
    }

    private static func retry(_ text: String) throws(Problem) -> Int {
        guard text.utf8.allSatisfy(\.isDigit), let retry = Int(text) else {
            throw Problem(
                .badRequest, "The retry is not a number of milliseconds. Write digits only, such as 3000.",
                field: "retry")
        }
        return retry
    }

    private static func flag(_ text: String) throws(Problem) -> Bool {
        if ["", "true", "1"].contains(where: text.isExactly) { return true }
        if ["false", "0"].contains(where: text.isExactly) { return false }
        throw Problem(.badRequest, "Private is neither true nor false. Write private=true.", field: "private")
    }
}
