// SPDX-License-Identifier: Apache-2.0

import Foundation
import NIOCore
import NIOPosix

/// The hub cannot listen on its address, for a reason that the user can remove.
struct BindError: Error, CustomStringConvertible {
    /// What is wrong and what to do, in one line.
    let description: String

    private init(_ description: String) { self.description = description }

    /// - Parameter error: The error of the start of the hub. If it is not about the address, the result is `nil`.
    init?(_ error: any Error, settings: HubSettings) {
        if let error = error as? BindError {
            self = error
            return
        }
        let found =
            switch settings.host {
            case .interface(let host): Self.description(of: error, host, port: settings.port)
            case .unix(let path): Self.description(of: error, path: path)
            }
        guard let found else { return nil }
        self.init(found)
    }

    private static func description(of error: any Error, _ host: String, port: Int) -> String? {
        let address = "port \(port) on \(host)"
        return switch (error as? IOError)?.errnoCode {
        case EADDRINUSE: "\(address) is in use; stop the program that listens there or choose another --port"
        case EACCES: "this user may not listen on \(address); choose a --port from 1024 up"
        case EADDRNOTAVAIL: "\(host) is not an address of this machine; choose another --host"
        default: nil
        }
    }

    private static func description(of error: any Error, path: String) -> String? {
        if error is UnixDomainSocketPathWrongType {
            return "\(path) is there and is no socket; remove it or choose another --host"
        }
        return switch (error as? IOError)?.errnoCode {
        case ENOENT, ENOTDIR: "the folder of \(path) does not exist; make it or choose another --host"
        case EACCES, EPERM, EROFS:
            "this user may not make the socket \(path); choose a --host in a folder that it may write to"
        default: nil
        }
    }

    /// Throws if another program listens on a Unix domain socket. Binding would take it away from that program.
    static func checkIsFree(_ address: ListenAddress, _ eventLoops: any EventLoopGroup) async throws {
        guard case .unix(let path) = address else { return }
        guard let channel = try? await ClientBootstrap(group: eventLoops).connect(unixDomainSocketPath: path).get()
        else { return }
        try? await channel.close().get()
        throw BindError("\(path) is in use; stop the program that listens there or choose another --host")
    }
}
