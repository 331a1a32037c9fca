// SPDX-License-Identifier: Apache-2.0

import MartletSupport

/// The headers of a request, with names of any case.
struct HeaderFields: Sendable, Equatable {
    private(set) var fields: [(name: String, value: String)] = []

    static func == (a: Self, b: Self) -> Bool {
        a.fields.elementsEqual(b.fields) { $0.name.isExactly($1.name) && $0.value.isExactly($1.value) }
    }

    subscript(name: String) -> String? {
        get { fields.first { $0.name.isExactlyIgnoringCase(name) }?.value }
        set {
            remove([name])
            if let newValue { fields.append((name, newValue)) }
        }
    }

    mutating func set(_ headers: [String: String]) {
        for (name, value) in headers { self[name] = value }
    }

    /// Identifies with a token; `nil` changes nothing.
    mutating func setBearer(_ token: String?) {
        if let token { self["Authorization"] = "Bearer \(token)" }
    }

    mutating func remove(_ names: [String]) {
        fields.removeAll { field in names.contains { $0.isExactlyIgnoringCase(field.name) } }
    }

    /// The name of a header that may not stand in a request.
    var invalidName: String? {
        fields.first { !$0.name.utf8.isHTTPToken || !$0.value.utf8.isHTTPFieldValue }?.name
    }
}
