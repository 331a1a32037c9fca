// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import MartletBench
import MartletOutgoing

/// `martlet bench`: measures a server of event streams under load.
struct BenchCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "bench",
        abstract: "Measure any server of event streams under load.",
        usage: "martlet bench <url> [<options>]",
        discussion: """
            Subscribes many times to <url> and counts what arrives. With --publish it also publishes, so it knows what \
            each subscriber must receive, and reports latency and lost, duplicated and reordered events. Without \
            --publish it counts what the server pushes, with latency if the data begin with ts= and the nanoseconds of \
            this machine's CLOCK_MONOTONIC.

            One thread does all of it. Give it a core that the server does not use, for example with taskset. It needs \
            Linux.

            A duration is a whole number with a unit (500ms, 15s, 2m); without a unit it is in seconds. A size is a \
            whole number with a unit (512, 64KiB); without a unit it is in bytes.
            """
    )

    @Argument(help: "The http URL to subscribe to.")
    var url: String

    @Option(
        help: ArgumentHelp("The number of subscribers. Default: 100.", valueName: "number"),
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
        help: ArgumentHelp(
            "How long to wait before memory is read and events are published. Default: 1s.", valueName: "duration"),
        transform: value(.duration(.zero...longest)))
    var settle = Duration.seconds(1)

    @Option(
        help: ArgumentHelp("How long to publish before measuring. Default: 1s.", valueName: "duration"),
        transform: value(.duration(.zero...longest)))
    var warmUp = Duration.seconds(1)

    @Option(
        help: ArgumentHelp("How long to wait at the end for missing events. Default: 5s.", valueName: "duration"),
        transform: value(.duration(.zero...longest)))
    var drain = Duration.seconds(5)

    @Option(
        help: ArgumentHelp("A field of the subscribers' requests; repeatable.", valueName: "name: value"))
    var header: [String] = []

    @Option(
        help: ArgumentHelp("A field of the publisher's requests; repeatable.", valueName: "name: value"))
    var publishHeader: [String] = []

    @Option(
        help: ArgumentHelp("The process of the server, to read its processor time and memory.", valueName: "pid"),
        transform: value(.count(1...Int(Int32.max))))
    var serverPid: Int?

    @Flag(help: "Print the report as one JSON object.")
    var json = false

    func validate() throws { _ = try plan }

    /// - Throws: `ValidationError`, without URLs and fields, which may contain passwords.
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

    /// - Throws: ``SettingsError`` if this machine does not allow so many subscribers, or the process does not exist;
    ///   `BenchError` if nothing could be measured.
    func run() throws {
        let needed = subscribers + Self.spareDescriptors
        let allowed = DescriptorLimit.raise()
        guard needed <= allowed else {
            throw SettingsError(
                "--subscribers: \(subscribers) need \(needed) descriptors, but \(allowed) are allowed; raise ulimit -n"
            )
        }
        if let serverPid, ProcessUsage(process: serverPid) == nil {
            throw SettingsError("--server-pid: there is no process \(serverPid) to read in /proc")
        }
        Interruption.listen()
        var line = ProgressLine()
        var generator = try LoadGenerator(
            try plan, progress: { line?.show($0()) }, isInterrupted: { Interruption.isRequested })
        let result = Result(catching: { () throws(BenchError) in try generator.run() })
        line?.clear()
        let report = try result.get()
        print(json ? try report.json : report.lines.map(\.visible).joined(separator: "\n"))
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

    private static func fields(_ texts: [String], option: String) throws -> [BenchPlan.Field] {
        let fields = texts.compactMap(HeaderField.init)
        guard fields.count == texts.count else {
            throw ValidationError("A \(option) is not a field like \"Accept-Language: de\"")
        }
        return HeaderField.joined(fields).map { ($0.name, $0.value) }
    }
}
