// SPDX-License-Identifier: Apache-2.0

import Foundation
import Hummingbird
import MartletHTTP
import MartletSupport

/// Where the hub listens: the name or address of an interface, or a Unix domain socket, written `unix:` and its path.
enum ListenAddress: Hashable, Sendable {
    case interface(String)
    case unix(path: String)

    /// The longest path of a socket, in bytes (unix(7)).
    #if os(Linux)
    static let pathBytes = 107
    #else
    static let pathBytes = 103
    #endif

    init?(_ text: String) {
        if let path = text.cutting(prefix: "unix:") {
            guard !path.isEmpty, path.utf8.count <= Self.pathBytes, !path.containsExactly(0) else { return nil }
            self = .unix(path: String(path))
        } else {
            guard !text.isEmpty, !text.unicodeScalars.contains(where: \.isBlankOrControl) else { return nil }
            self = .interface(text)
        }
    }

    var text: String {
        switch self {
        case .interface(let host): host
        case .unix(let path): "unix:\(path)"
        }
    }

    /// Whether only programs on this machine can connect.
    var isLocal: Bool {
        switch self {
        case .interface(let host): Loopback.contains(host)
        case .unix: true
        }
    }

    /// The interface of the port for metrics.
    var interface: String {
        switch self {
        case .interface(let host): host
        case .unix: "127.0.0.1"
        }
    }

    func bindAddress(port: Int) -> BindAddress {
        switch self {
        case .interface(let host): .hostname(host, port: port)
        case .unix(let path): .unixDomainSocket(path: path)
        }
    }

    /// Removes the socket that the hub has listened on. One that a crash leaves behind is replaced at the next start.
    func removeSocket() {
        guard case .unix(let path) = self else { return }
        let kind = try? FileManager.default.attributesOfItem(atPath: path)[.type] as? FileAttributeType
        if kind == .typeSocket { try? FileManager.default.removeItem(atPath: path) }
    }

    /// The URL of a path of the hub, for a client on this machine. A socket is in the form of AsyncHTTPClient.
    func url(port: Int, path: String) -> String {
        switch self {
        case .interface: "http://\(place(port: port))\(path)"
        case .unix(let socket): "http+unix://\(socket.percentEncoded)\(path)"
        }
    }

    /// The host and the port, or the socket.
    ///
    /// - Parameter port: Where it listens, on an interface.
    func place(port: Int) -> String {
        switch self {
        case .interface(let host): "\(host.utf8.contains(UInt8(ascii: ":")) ? "[\(host)]" : host):\(port)"
        case .unix: text
        }
    }

    /// How to see that the hub runs, as a sentence.
    ///
    /// - Parameter port: Where it listens, on an interface.
    func invitation(port: Int) -> String {
        switch self {
        case .interface:
            let url = "http://\(place(port: port))"
            return "Open \(url)/ or: curl -N \(url)/events/demo"
        case .unix(let path):
            return "Try: curl -N --unix-socket \(path) http://localhost/events/demo"
        }
    }
}

extension Unicode.Scalar {
    fileprivate var isBlankOrControl: Bool { properties.isWhitespace || properties.generalCategory == .control }
}
