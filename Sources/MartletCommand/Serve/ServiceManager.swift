// SPDX-License-Identifier: Apache-2.0

import Logging
import NIOCore
import NIOPosix

/// The service manager that has started this process, such as systemd, if it waits until the hub listens
/// (sd_notify(3), `Type=notify`).
struct ServiceManager: Sendable {
    /// The path of its socket. Names of abstract sockets, which begin with `@`, are not supported.
    private let path: String

    /// - Returns: `nil` if no service manager waits.
    init?(environment: [String: String]) {
        guard let path = environment["NOTIFY_SOCKET"], !path.isEmpty else { return nil }
        self.path = path
    }

    /// Reports that the hub listens. A failure is logged: the service manager ends a service that never reports.
    func reportReady(on eventLoops: any EventLoopGroup, logger: Logger) {
        DatagramBootstrap(group: eventLoops)
            .connect(unixDomainSocketPath: path)
            .flatMap { channel in
                channel.writeAndFlush(ByteBuffer(string: "READY=1")).flatMap { channel.close() }
            }
            .whenFailure { error in
                logger.error("The service manager does not learn that the hub is ready (NOTIFY_SOCKET): \(error)")
            }
    }
}
