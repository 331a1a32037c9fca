// SPDX-License-Identifier: Apache-2.0

/// The headers of a request, with names of any case.
struct HeaderFields: Sendable, Equatable {
    private(set) var fields: [(name: String, value: String)] = []

    static func == (a: Self, b: Self) -> Bool { a.fields.elementsEqual(b.fields, by: ==) }

    subscript(name: String) -> String? {
        get { fields.first { $0.name.lowercased() == name.lowercased() }?.value }
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
        fields.removeAll { field in names.contains { $0.lowercased() == field.name.lowercased() } }
    }

    /// The name of a header that may not stand in a request.
    var invalidName: String? {
        fields.first { !Self.isToken($0.name) || !$0.value.utf8.allSatisfy(Self.isValueByte) }?.name
    }

    /// A word as HTTP has it for names and methods.
    static func isToken(_ text: String) -> Bool {
        !text.isEmpty
            && text.utf8.allSatisfy { byte in
                Character(Unicode.Scalar(byte)).isASCII
                    && (Character(Unicode.Scalar(byte)).isLetter || Character(Unicode.Scalar(byte)).isNumber
                        || "!#$%&'*+-.^_`|~".utf8.contains(byte))
            }
    }

    /// No control character but a tab; what is not ASCII goes as its UTF-8.
    private static func isValueByte(_ byte: UInt8) -> Bool { byte == 0x09 || byte >= 0x20 && byte != 0x7F }
}
