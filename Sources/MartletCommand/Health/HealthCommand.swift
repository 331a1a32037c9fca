// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import AsyncHTTPClient
import Foundation
import MartletOutgoing
import NIOCore
import NIOHTTP1

/// `martlet health`: asks the hub that runs with these settings whether it is ready.
struct HealthCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "health",
        abstract: "Ask the hub on this machine whether it is ready.",
        usage: "martlet health [<options of serve>]",
        discussion: """
            Finds the hub by the same options, environment variables and settings file as martlet serve. The exit code \
            is 0 if the hub is ready, 1 if it is not (it starts, stops, or has no log), 2 for a usage or configuration \
            error, and 4 if it does not answer.
            """
    )

    @OptionGroup(visibility: .hidden) var options: ServeArguments

    func run() async throws {
        let settings = try await HubSettings.resolve(
            commandLine: options.texts,
            environment: ProcessInfo.processInfo.environment,
            descriptorLimit: DescriptorLimit.raise()
        )
        try await Self.check(settings.host, port: settings.port)
    }

    /// - Throws: ``ClientError`` if the hub there is not ready.
    static func check(_ host: ListenAddress, port: Int) async throws {
        var request = HTTPClientRequest(url: host.url(port: port, path: "/health/ready"))
        // The client would send the path of a socket.
        request.headers.add(name: "Host", value: "localhost")
        let status: UInt
        do {
            status = try await HTTPClient.withHTTPClient(configuration: .outgoing) { client in
                try await client.execute(request, timeout: .seconds(5)).status.code
            }
        } catch {
            throw ClientError(.unreachable, "No hub answers at \(host.place(port: port))")
        }
        guard status == 200 else {
            throw ClientError(.failed, "The hub at \(host.place(port: port)) is not ready: it answers \(status)")
        }
    }
}
