// SPDX-License-Identifier: Apache-2.0

/// The URL of a stream with more parameters in its query.
enum StreamURL {
    /// The URL with the parameters behind those that it has. The rest of it stays as it is written, but the fragment, which
    /// is not for the server, goes.
    static func adding(_ parameters: [(name: String, value: String)], to url: String) -> String {
        let url = url.prefix { $0 != "#" }
        guard !parameters.isEmpty else { return String(url) }
        let added = parameters.map { "\(encoded($0.name))=\(encoded($0.value))" }.joined(separator: "&")
        guard let query = url.firstIndex(of: "?").map({ url[$0...].dropFirst() }) else { return "\(url)?\(added)" }
        return query.isEmpty || query.last == "&" ? "\(url)\(added)" : "\(url)&\(added)"
    }

    /// All but the unreserved characters of RFC 3986 section 2.3 are escaped, so that no reader takes a `+` for a space.
    private static func encoded(_ text: String) -> String {
        text.utf8.map { byte in
            let scalar = Unicode.Scalar(byte)
            switch scalar {
            case "a"..."z", "A"..."Z", "0"..."9", "-", ".", "_", "~": return String(scalar)
            default: return "%" + (byte < 0x10 ? "0" : "") + String(byte, radix: 16, uppercase: true)
            }
        }.joined()
    }
}
