// SPDX-License-Identifier: Apache-2.0

import MartletSupport

/// The URL of a stream with more parameters in its query.
enum StreamURL {
    /// The URL with the parameters behind those that it has. The rest of it stays as it is written, but the fragment,
    /// which is not for the server, goes.
    static func adding(_ parameters: [(name: String, value: String)], to url: String) -> String {
        let url = url.cutExactly(at: UInt8(ascii: "#"))?.before ?? url[...]
        guard !parameters.isEmpty else { return String(url) }
        // Only unreserved characters stand as they are, so that no reader takes a `+` for a space.
        let added = parameters.map { "\($0.name.percentEncoded)=\($0.value.percentEncoded)" }.joined(separator: "&")
        guard let query = url.cutExactly(at: UInt8(ascii: "?"))?.behind else { return "\(url)?\(added)" }
        return query.isEmpty || query.endsExactly(with: "&") ? "\(url)\(added)" : "\(url)&\(added)"
    }
}
