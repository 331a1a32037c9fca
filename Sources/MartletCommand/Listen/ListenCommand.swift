// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import Foundation
import MartletClient
import MartletHTTP

/// `martlet listen`: prints the events of a server.
struct ListenCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "listen",
        abstract: "Print the events of any server of event streams.",
        usage: "martlet listen <url> [<options>]",
        discussion: """
            Events go to standard output as they come: id, type and data, or one JSON object a line with --json. What \
            becomes of the connection goes to standard error. A connection that ends is made again, and goes on after the \
            last event. Nothing is read ahead of what reads the output.

            Exit codes: 0 when the server says that there is no more (204), after --count events, after SIGINT or \
            SIGTERM, and when nobody reads the output any more; 1 when the answer is not an event stream, or the output \
            fails; 2 for bad usage; 3 when the server refuses (4xx); 4 when there is no connection for --retry-for.

            A duration is a whole number with a unit (500ms, 15s, 2m); without a unit it is in seconds.
            """
    )

    @Argument(help: "Where the events are, such as http://localhost:8080/events/orders.")
    var url: String

    @Flag(help: "Print one JSON object a line, with the strings data, event and id.")
    var json = false

    @Option(help: ArgumentHelp("End after so many events.", valueName: "number"), transform: value(.count(1...Int.max)))
    var count: Int?

    @Option(
        help: ArgumentHelp("Another topic, as the parameter topic of the URL; repeatable.", valueName: "topic"))
    var topic: [String] = []

    @Option(
        help: ArgumentHelp(
            "Begin with what a Martlet hub published since a time (2026-11-24T18:00:00Z) or for so long (15m).",
            valueName: "time"))
    var since: String?

    @Option(
        name: .customLong("last-event-id"),
        help: ArgumentHelp(
            "Begin after the event of this id; earliest for all that a Martlet hub has.", valueName: "id"))
    var lastEventID = ""

    @Option(
        help: ArgumentHelp("Give up when there is no connection for so long. Default: never.", valueName: "duration"),
        transform: value(.duration(.milliseconds(100)...longest)))
    var retryFor: Duration?

    @Option(
        help: ArgumentHelp(
            "Connect again when not a byte comes for so long; 0 for never. Default: 60s.", valueName: "duration"),
        transform: value(.duration(.zero...longest)))
    var readTimeout = Duration.seconds(60)

    @OptionGroup var server: ServerOptions

    @Flag(help: "Also show comments, on standard error.")
    var verbose = false

    func validate() throws {
        guard let since else { return }
        do { _ = try Since.find(in: [("since", since)]) } catch { throw ValidationError(error.detail) }
    }

    /// - Throws: ``ClientError`` or ``SettingsError``.
    func run() async throws {
        let environment = ProcessInfo.processInfo.environment
        // What is wrong with the token is to show before anything else.
        _ = try server.token(environment: environment)
        try await listener(environment: environment, isTerminal: StandardStream.output.isTerminal).run()
    }

    func listener(environment: [String: String], isTerminal: Bool) -> Listener {
        let notes = ConnectionNotes { StandardStream.error.note($0) }
        var configuration = EventSource.Configuration()
        configuration.headers = server.fields
        configuration.token = { [server] in
            try server.token(environment: environment)
        }
        configuration.readTimeout = readTimeout == .zero ? nil : readTimeout
        configuration.onStateChange = { notes.changed(to: $0) }
        if verbose {
            configuration.onComment = { StandardStream.error.note("comment: \($0)") }
        }
        let isColored = isTerminal && (environment["NO_COLOR"] ?? "").isEmpty && environment["TERM"] != "dumb"
        return Listener(
            source: EventSource(
                requestURL, lastEventID: lastEventID, configuration: configuration),
            notes: notes, format: json ? .json : .text(isColored: isColored), count: count, patience: retryFor)
    }

    var requestURL: String {
        StreamURL.adding(topic.map { ("topic", $0) } + (since.map { [("since", $0)] } ?? []), to: url)
    }

    private static let longest = Duration.seconds(86_400)
}
