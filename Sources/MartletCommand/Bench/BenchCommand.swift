// SPDX-License-Identifier: Apache-2.0

import ArgumentParser

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

    @Argument(help: "The http URL to subscribe to.", transform: target)
    var url: HTTPTarget

    @Option(
        help: ArgumentHelp("How many subscribers connect. Default: 100.", valueName: "number"),
        transform: value(.count(1...1_000_000)))
    var subscribers = 100

    @Option(
        help: ArgumentHelp("The http URL to publish to: each event is the body of a POST.", valueName: "url"),
        transform: target)
    var publish: HTTPTarget?

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
        help: ArgumentHelp("A field of the subscribers' requests; repeatable.", valueName: "name: value"),
        transform: field)
    var header: [String] = []

    @Option(
        help: ArgumentHelp("A field of the publisher's requests; repeatable.", valueName: "name: value"),
        transform: field)
    var publishHeader: [String] = []

    @Option(
        help: ArgumentHelp("The server's process, to read its processor time and memory.", valueName: "pid"),
        transform: value(.count(1...Int(Int32.max))))
    var serverPid: Int?

    @Flag(help: "Print one JSON object.")
    var json = false

    var plan: BenchPlan {
        BenchPlan(
            target: url,
            header: header,
            subscribers: subscribers,
            connectRate: connectRate,
            settle: settle,
            warmUp: warmUp,
            duration: duration,
            drain: drain,
            publishing: publish.map { .init(target: $0, header: publishHeader, rate: rate, size: size) },
            serverProcess: serverPid
        )
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
        var generator = try LoadGenerator(plan, progress: ProgressLine()) { Interruption.isRequested }
        let report = try generator.run()
        print(json ? try report.json : report.text)
    }

    private static let spareDescriptors = 32
    private static let longest = Duration.seconds(86_400)

    @Sendable private static func target(_ text: String) throws -> HTTPTarget {
        guard let target = HTTPTarget(text) else {
            throw ValidationError("\(text.debugDescription) is not a URL like http://127.0.0.1:8080/events/demo")
        }
        return target
    }

    @Sendable private static func field(_ text: String) throws -> String {
        guard HeaderField(text) != nil else {
            throw ValidationError("\(text.debugDescription) is not a field like \"Authorization: Bearer 1234\"")
        }
        return text
    }
}
