// SPDX-License-Identifier: Apache-2.0

#if canImport(FoundationEssentials)
import FoundationEssentials
#else
import Foundation
#endif

/// A URL that can be asked: `http` or `https`, with a host, without a user, and with no port or one from 1 to 65535.
struct Target: Sendable, Hashable {
    private let url: URL

    /// `nil` if the text is no such URL.
    init?(_ text: String) {
        guard let url = URL(string: text) else { return nil }
        self.init(url)
    }

    private init?(_ url: URL) {
        guard ["http", "https"].contains(url.scheme?.lowercased()), url.host?.isEmpty == false else { return nil }
        guard (1...65535).contains(url.port ?? 80) else { return nil }
        // Who put a name and a password there expects them to be sent, or not to be; better to ask.
        guard url.user == nil, url.password == nil else { return nil }
        self.url = url
    }

    var text: String { url.absoluteString }

    /// Where a `Location` leads from here.
    func resolving(_ location: String) -> Target? {
        URL(string: location, relativeTo: url).flatMap { Target($0.absoluteURL) }
    }

    /// What a reference names, which need not be something that can be asked. One that is not relative stays as it is.
    func reference(_ text: String) -> String? {
        guard let reference = URL(string: text, relativeTo: url) else { return nil }
        return reference.baseURL == nil || URL(string: text)?.scheme != nil ? text : reference.absoluteString
    }

    func hasSameOrigin(as other: Target) -> Bool { origin == other.origin }

    private var origin: [String] {
        let scheme = url.scheme?.lowercased() ?? ""
        return [scheme, url.host?.lowercased() ?? "", "\(url.port ?? (scheme == "https" ? 443 : 80))"]
    }
}
