// SPDX-License-Identifier: Apache-2.0

import HTTPTypes

/// What a publish says about its event besides the data: in the query (`?type=shipped`), else in headers
/// (`Event-Type: shipped`).
struct EventFields {
    private(set) var id: String?
    private(set) var type: String?
    private(set) var retry: Int?
    private(set) var key: String?
    private(set) var isPrivate = false

    private static let names = ["id", "type", "retry", "key", "private"]

    init(query: [(name: String, value: String)], headers: HTTPFields) throws(Problem) {
        var values: [String: String] = [:]
        for name in Self.names {
            if let header = HTTPField.Name("Event-\(name)").flatMap({ headers[$0] }) { values[name] = header }
        }
        for (name, value) in query {
            guard Self.names.contains(name) else {
                let known = Self.names.joined(separator: ", ")
                throw Problem(.badRequest, "There is no parameter \(name), only \(known).", field: name)
            }
            values[name] = value
        }
        id = values["id"]
        type = values["type"]
        key = values["key"]
        retry = try values["retry"].map(Self.retry)
        isPrivate = try values["private"].map(Self.flag) ?? false
    }

    private static func retry(_ text: String) throws(Problem) -> Int {
        guard text.utf8.allSatisfy({ (0x30...0x39).contains($0) }), let retry = Int(text) else {
            throw Problem(
                .badRequest, "The retry is not a number of milliseconds. Write digits only, such as 3000.",
                field: "retry")
        }
        return retry
    }

    private static func flag(_ text: String) throws(Problem) -> Bool {
        switch text {
        case "", "true", "1": return true
        case "false", "0": return false
        default: throw Problem(.badRequest, "Private is neither true nor false. Write private=true.", field: "private")
        }
    }
}
