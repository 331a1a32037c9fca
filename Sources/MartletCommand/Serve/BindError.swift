// SPDX-License-Identifier: Apache-2.0

import Foundation
import NIOCore

/// The hub cannot listen on its address, for a reason that the user can remove.
struct BindError: Error, CustomStringConvertible {
    /// What is wrong and what to do, in one line.
    let description: String

    /// - Parameter error: The error of the start of the hub. If it is not about the address, the result is `nil`.
    init?(_ error: any Error, settings: HubSettings) {
        let address = "port \(settings.port) on \(settings.host)"
        switch (error as? IOError)?.errnoCode {
        case EADDRINUSE:
            description = "\(address) is in use; stop the program that listens there or choose another --port"
        case EACCES:
            description = "this user may not listen on \(address); choose a --port from 1024 up"
        case EADDRNOTAVAIL:
            description = "\(settings.host) is not an address of this machine; choose another --host"
        default:
            return nil
        }
    }
}
