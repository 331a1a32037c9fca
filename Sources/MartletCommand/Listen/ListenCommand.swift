// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import Foundation
import MartletClient
import MartletHTTP
import MartletOutgoing

/// `martlet listen`: prints the events of a server.
struct ListenCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "listen",
        abstract: "Print the events of any SSE server.",
        usage: "martlet listen <url> [<options>]",
        discussion: """
            Events go to standard output as they arrive: id, type and data, or one JSON object a line with --json. Changes \
            of the connection go to standard error. After a lost connection, listen reconnects and continues after the last \
            event. It reads no event before the last one is written.

            Exit codes: 0 when the server has no more events (204), after --count events, after SIGINT or SIGTERM, and when \
            the reader of the output closes it; 1 when the answer is not an event stream, or the output fails; 2 for bad \
            usage; 3 when the server refuses the request (4xx); 4 when there is no connection for --retry-for.

            A duration is a whole number with a unit (500ms, 15s, 2m); without a unit it is in seconds.
            """
    )

    @Argument(help: "The URL of the stream, such as http://localhost:8080/events/orders.")
    var url: String

    @Flag(help: "Print one JSON object a line, with the strings data, event and id.")
    var json = false

    @Option(
        help: ArgumentHelp("End after this number of events.", valueName: "number"),
        transform: value(.count(1...Int.max)))
    var count: Int?

    @Option(
        help: ArgumentHelp("Another topic, sent as the parameter topic; repeatable.", valueName: "topic"))
    var topic: [String] = []

    @Option(
        help: ArgumentHelp(
            "Begin with the events since a time (2026-11-24T18:00:00Z) or a duration ago (15m); Martlet hubs only.",
            valueName: "time"))
    var since: String?

    @Option(
        name: .customLong("last-event-id"),
        help: ArgumentHelp(
            "Begin after the event with this id; earliest for the whole history of a Martlet hub.", valueName: "id"))
    var lastEventID = ""

    @Option(
        help: ArgumentHelp("Give up after this time without a connection. Default: never.", valueName: "duration"),
        transform: value(.duration(.milliseconds(100)...longest)))
    var retryFor: Duration?

    @Option(
        help: ArgumentHelp(
            "Reconnect after this time without a byte; 0 for never. Default: 60s.", valueName: "duration"),
        transform: value(.duration(.zero...longest)))
    var readTimeout = Duration.seconds(60)

    @OptionGroup var server: ServerOptions

    @Flag(help: "Also show comments, on standard error.")
    var verbose = false

    func validate() throws {
        guard let since else { return }
        do { _ = try HubRequest.age(since: since) } catch { throw ValidationError(error.detail) }
    }

    /// - Throws: ``ClientError`` or ``SettingsError``.
    func run() async throws {
        let environment = ProcessInfo.processInfo.environment
        // A token that cannot be used is reported before anything else.
        _ = try server.token(environment: environment)
        try await listener(environment: environment, isTerminal: StandardStream.output.isTerminal).run()
    }

    func listener(environment: [String: String], isTerminal: Bool) -> Listener {
        let monitor = ConnectionMonitor { StandardStream.error.note($0) }
        var configuration = EventSource.Configuration(
            headers: server.fields, readTimeout: readTimeout == .zero ? nil : readTimeout,
            onStateChange: { monitor.changed(to: $0) })
        configuration.token = { [server] in try server.token(environment: environment) }
        if verbose { configuration.onComment = { StandardStream.error.note("comment: \($0)") } }
        let isColored = isTerminal && (environment["NO_COLOR"] ?? "").isEmpty && environment["TERM"] != "dumb"
        return Listener(
            source: EventSource(requestURL, lastEventID: lastEventID, configuration: configuration),
            monitor: monitor, format: json ? .json : .text(isColored: isColored), count: count, patience: retryFor)
    }

    var requestURL: String {
        URLQuery.adding(topic.map { ("topic", $0) } + (since.map { [("since", $0)] } ?? []), to: url)
    }

    private static let longest = Duration.seconds(86_400)
}
