// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import MartletOutgoing

/// `martlet bench`: measures a server of event streams under load.
struct BenchCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "bench",
        abstract: "Measure any server of event streams under load.",
        usage: "martlet bench <url> [<options>]",
        discussion: """
            Subscribes many times to <url> and counts what arrives. With --publish it also publishes, and then knows \
            what each subscriber has to receive: it reports latency and what was lost, duplicated or out of order. \
            Without, it counts what the server pushes by itself, with latency where the data begin with ts= and the \
            nanoseconds of this machine's CLOCK_MONOTONIC.

            One thread does all of it. Keep it on a core of its own, for example with taskset. It needs Linux.

            A duration is a whole number with a unit (500ms, 15s, 2m); without a unit it is in seconds. A size is a \
            whole number with a unit (512, 64KiB); without a unit it is in bytes.
            """
    )

    @Argument(help: "The http URL to subscribe to.")
    var url: String

    @Option(
        help: ArgumentHelp("How many subscribers connect. Default: 100.", valueName: "number"),
        transform: value(.count(1...1_000_000)))
    var subscribers = 100

    @Option(
        help: ArgumentHelp("The http URL to publish to: each event is the body of a POST.", valueName: "url"))
    var publish: String?

    @Option(
        help: ArgumentHelp("Events published a second. Default: 10.", valueName: "number"),
        transform: value(.count(1...1_000_000)))
    var rate = 10

    @Option(
        help: ArgumentHelp("Size of the data of a published event. Default: 200.", valueName: "size"),
        transform: value(.bytes(EventMark.longest...(1 << 20))))
    var size = 200

    @Option(help: "How long to measure. Default: 10s.", transform: value(.duration(.milliseconds(100)...longest)))
    var duration = Duration.seconds(10)

    @Option(
        help: ArgumentHelp("Connections opened a second. Default: 2000.", valueName: "number"),
        transform: value(.count(1...1_000_000)))
    var connectRate = 2000

    @Option(
        help: ArgumentHelp("Wait before memory is read and events are published. Default: 1s.", valueName: "duration"),
        transform: value(.duration(.zero...longest)))
    var settle = Duration.seconds(1)

    @Option(
        help: ArgumentHelp("How long to publish before measuring. Default: 1s.", valueName: "duration"),
        transform: value(.duration(.zero...longest)))
    var warmUp = Duration.seconds(1)

    @Option(
        help: ArgumentHelp("Wait at the end before what is missing is lost. Default: 5s.", valueName: "duration"),
        transform: value(.duration(.zero...longest)))
    var drain = Duration.seconds(5)

    @Option(
        help: ArgumentHelp("A field of the subscribers' requests; repeatable.", valueName: "name: value"))
    var header: [String] = []

    @Option(
        help: ArgumentHelp("A field of the publisher's requests; repeatable.", valueName: "name: value"))
    var publishHeader: [String] = []

    @Option(
        help: ArgumentHelp("The server's process, to read its processor time and memory.", valueName: "pid"),
        transform: value(.count(1...Int(Int32.max))))
    var serverPid: Int?

    @Flag(help: "Print one JSON object.")
    var json = false

    func validate() throws { _ = try plan }

    /// - Throws: `ValidationError`, which repeats no URL and no field: there may be a password in them.
    var plan: BenchPlan {
        get throws {
            BenchPlan(
                target: try Self.target(url),
                header: try Self.fields(header, option: "--header"),
                subscribers: subscribers,
                connectRate: connectRate,
                settle: settle,
                warmUp: warmUp,
                duration: duration,
                drain: drain,
                publishing: try publish.map { url in
                    .init(
                        target: try Self.target(url),
                        header: try Self.fields(publishHeader, option: "--publish-header"), rate: rate, size: size)
                },
                serverProcess: serverPid
            )
        }
    }

    /// - Throws: ``SettingsError`` if this machine does not allow what is asked for, ``BenchError`` if it could not be
    ///   measured at all.
    func run() throws {
        let needed = subscribers + Self.spareDescriptors
        let allowed = DescriptorLimit.raise()
        guard needed <= allowed else {
            throw SettingsError(
                "--subscribers: \(subscribers) need \(needed) descriptors and \(allowed) are allowed; raise ulimit -n"
            )
        }
        if let serverPid, ProcessUsage(process: serverPid) == nil {
            throw SettingsError("--server-pid: there is no process \(serverPid) to read in /proc")
        }
        Interruption.listen()
        var generator = try LoadGenerator(try plan, progress: ProgressLine()) { Interruption.isRequested }
        let report = try generator.run()
        print(json ? try report.json : report.text)
    }

    private static let spareDescriptors = 32
    private static let longest = Duration.seconds(86_400)

    private static func target(_ text: String) throws -> OutgoingURL {
        do {
            let url = try OutgoingURL(text)
            guard !url.isSecure else {
                throw ValidationError("The URL must begin with http://, because bench does not speak TLS")
            }
            return url
        } catch let error as OutgoingURLError {
            throw ValidationError("The URL \(error), such as http://127.0.0.1:8080/events/demo")
        }
    }

    private static func fields(_ texts: [String], option: String) throws -> [HeaderField] {
        let fields = texts.compactMap(HeaderField.init)
        guard fields.count == texts.count else {
            throw ValidationError("A \(option) is not a field like \"Accept-Language: de\"")
        }
        return HeaderField.joined(fields)
    }
}
