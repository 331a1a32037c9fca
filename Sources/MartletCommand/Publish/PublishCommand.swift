// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import Foundation

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
            With <data> one event is published; without, or with -, each line of standard input is the data of one. With \
            --ndjson each line is an event, a JSON object: {"topic":"orders/42","data":"shipped"}, and where wanted id, \
            type, retry, key and private; blank lines are skipped. Lines are UTF-8, of 1 MiB at most.

            Lines are published in their order, at once: those that are there together go in one request. What is not \
            answered is sent again, and published once all the same. The id of each event goes to standard output as soon \
            as the hub has it. At the first line that cannot be published all ends, and nothing behind it is published.

            Exit codes: 0 when all is published; 1 when the input cannot be used, or the answer is not a hub's; 2 for bad \
            usage; 3 when the hub refuses a line, or the request; 4 when there is no answer for --retry-for, and then \
            the lines named may be published or not.

            A duration is a whole number with a unit (500ms, 15s, 2m); without a unit it is in seconds.
            """
    )

    @Argument(help: "Where the hub is, such as http://localhost:8080.")
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
            "Milliseconds that clients wait before they connect again, from these events on.", valueName: "number"),
        transform: value(.count(0...Int.max)))
    var retry: Int?

    @Option(help: ArgumentHelp("Events of one key replace each other.", valueName: "key"))
    var key: String?

    @Flag(name: .customLong("private"), help: "Only for subscribers with a right to the topic.")
    var isPrivate = false

    @Option(
        help: ArgumentHelp("How long to try when there is no answer. Default: 30s.", valueName: "duration"),
        transform: value(.duration(.zero ... .seconds(86_400))))
    var retryFor = Duration.seconds(30)

    @OptionGroup var server: ServerOptions

    func validate() throws {
        _ = try HubAddress(url)
        let isStream = data == nil || data == "-"
        if ndjson {
            guard topic == nil else {
                throw ValidationError("With --ndjson each line names its topic; give the URL only")
            }
            guard template(topic: "") == EventTemplate(topic: "") else {
                throw ValidationError("With --ndjson each line says its id, type, retry, key and private itself")
            }
        } else if topic == nil {
            throw ValidationError("Give a topic, or --ndjson where each line names its own")
        } else if isStream, id != nil {
            throw ValidationError("Not all lines can have the same --id; give it with the data of one event")
        }
    }

    /// - Throws: ``ClientError`` or ``SettingsError``.
    func run() async throws {
        StandardStream.ignoreBrokenPipes()
        var run = PublishRun(try client(environment: ProcessInfo.processInfo.environment), isSingle: event != nil)
        if let event {
            try await run.publish(
                LineBatch(lines: [.init(number: 1, event: try event.template.event(data: event.data))]))
        } else {
            try await run.publishInput(Batcher(input))
        }
    }

    /// The only event; `nil` where events come from standard input.
    var event: (template: EventTemplate, data: String)? {
        guard let topic, let data, data != "-" else { return nil }
        return (template(topic: topic), data)
    }

    var input: Batcher.Input { topic.map { .data(template(topic: $0)) } ?? .events }

    /// - Throws: ``SettingsError`` where there is no such token.
    private func client(environment: [String: String]) throws -> HubClient {
        _ = try server.token(environment: environment)
        return HubClient(
            address: try HubAddress(url), fields: server.fields,
            token: { [server] in try server.token(environment: environment) }, retryFor: retryFor,
            note: { StandardStream.error.note($0) })
    }

    private func template(topic: String) -> EventTemplate {
        EventTemplate(topic: topic, id: id, type: type, retry: retry, key: key, isPrivate: isPrivate)
    }
}
