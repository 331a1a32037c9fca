// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import Foundation
import MartletClient

/// `martlet publish`: publishes one event, or an event for each line of standard input.
struct PublishCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "publish",
        abstract: "Publish events to a Martlet hub.",
        usage: """
            martlet publish <url> <topic> <data> [<options>]
            martlet publish <url> <topic> [-] [<options>]
            martlet publish <url> --ndjson [<options>]
            """,
        discussion: """
            With <data>, publish sends one event. Without it, or with -, each line of standard input is the data of an \
            event. With --ndjson, each line is an event as a JSON object: {"topic":"orders/42","data":"shipped"}, with the \
            optional members id, type, retry, key and private; blank lines are skipped. Lines are UTF-8 of up to 1 MiB.

            Lines are published in order and without delay; lines that have arrived together go in one request. A request \
            without an answer is sent again, and its events are published once. The id of each event goes to standard \
            output as soon as the hub has the event. publish stops at the first line that cannot be published.

            Exit codes: 0 when all events are published; 1 when the input cannot be used, or the answer is not that of a \
            hub; 2 for bad usage; 3 when the hub refuses a line or the request; 4 when there is no answer for --retry-for: \
            the named lines may have been published.

            A duration is a whole number with a unit (500ms, 15s, 2m); without a unit it is in seconds.
            """
    )

    @Argument(help: "The URL of the hub, such as http://localhost:8080.")
    var url: String

    @Argument(help: "The topic of the events; not with --ndjson.")
    var topic: String?

    @Argument(help: "The data of the event; - or nothing for standard input.")
    var data: String?

    @Flag(help: "Read events from standard input, one JSON object a line.")
    var ndjson = false

    @Option(help: ArgumentHelp("The id of the event. Default: the hub makes one.", valueName: "id"))
    var id: String?

    @Option(help: ArgumentHelp("The type of the events. Default: message.", valueName: "type"))
    var type: String?

    @Option(
        help: ArgumentHelp(
            "Milliseconds that clients wait before a reconnect, from these events on.", valueName: "number"),
        transform: value(.count(0...Int.max)))
    var retry: Int?

    @Option(help: ArgumentHelp("Events with the same key replace each other.", valueName: "key"))
    var key: String?

    @Flag(name: .customLong("private"), help: "Only for subscribers that have a right to the topic.")
    var isPrivate = false

    @Option(
        help: ArgumentHelp("How long to retry without an answer. Default: 30s.", valueName: "duration"),
        transform: value(.duration(.zero ... .seconds(86_400))))
    var retryFor = Duration.seconds(30)

    @OptionGroup var server: ServerOptions

    func validate() throws {
        do { _ = try HubClient(url).endpoint() } catch { throw ValidationError(error.message) }
        let isStream = data == nil || data == "-"
        if ndjson {
            guard topic == nil else {
                throw ValidationError("With --ndjson each line names its topic; give the URL only")
            }
            guard template(topic: "") == HubEvent(to: "") else {
                throw ValidationError("With --ndjson each line has its own id, type, retry, key and private")
            }
        } else if topic == nil {
            throw ValidationError("Give a topic, or --ndjson where each line names its own")
        } else if isStream, id != nil {
            throw ValidationError("--id is for one event; give its data as an argument")
        }
    }

    /// - Throws: ``ClientError`` or ``SettingsError``.
    func run() async throws {
        StandardStream.ignoreBrokenPipes()
        let environment = ProcessInfo.processInfo.environment
        // A token that cannot be used is reported before anything else.
        _ = try server.token(environment: environment)
        var hub = HubClient(url) { [server] in try server.token(environment: environment) }
        hub.headers = server.fields
        hub.retryFor = retryFor
        let run = PublishRun(hub)
        if let event { try await run.publish(event) } else { try await run.publishInput(inputFormat) }
    }

    /// The only event; `nil` if events come from standard input.
    var event: HubEvent? {
        guard let topic, let data, data != "-" else { return nil }
        return template(topic: topic, data: data)
    }

    var inputFormat: PendingLines.Format { topic.map { .data(template(topic: $0)) } ?? .events }

    private func template(topic: String, data: String = "") -> HubEvent {
        HubEvent(data, to: topic, id: id, type: type, retry: retry, key: key, isPrivate: isPrivate)
    }
}
