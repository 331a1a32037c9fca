// SPDX-License-Identifier: Apache-2.0

import MartletClient
import Synchronization

/// Publishes the lines of an input in their order and prints the ids. It stops at the first line that cannot be published.
final class PublishRun {
    private var hub: HubClient
    private let outage = Outage()
    private var progress: ProgressLine?
    private var published = 0
    /// Whether the reader of standard output is still there.
    private var isRead = true

    init(_ hub: HubClient) {
        self.hub = hub
        self.hub.onRetry = { [outage, retryFor = hub.retryFor] error, passed in
            guard passed >= Outage.noteAfter, outage.begin() else { return }
            let reason = ClientError(error).description
            StandardStream.error.note("trying again until \(retryFor.described) have passed: \(reason)")
        }
    }

    /// Publishes one event that comes from the command line.
    func publish(_ event: HubEvent) async throws {
        do { try await hub.publish([.event(event)], acknowledge: acknowledge) } catch let error as HubError {
            throw ClientError(error)
        }
    }

    /// Publishes standard input. The lines that have arrived go together; they do not wait for more.
    ///
    /// - Throws: ``ClientError`` that names the first line that is not published, and how many events are.
    func publishInput(_ format: PendingLines.Format) async throws {
        // On a terminal, the ids show the progress.
        if !StandardStream.output.isTerminal { progress = ProgressLine() }
        defer { progress?.clear() }
        var pending = PendingLines(format)
        do {
            while true {
                while pending.takesMore, pending.isEmpty || StandardStream.input.isReadable {
                    pending.append(try await StandardStream.input.receive(upTo: Self.readBytes))
                }
                guard let lines = try pending.take() else { return }
                try await publish(lines)
            }
        } catch let error as ClientError {
            throw ClientError(error.kind, "\(error.description) (\(tally))")
        }
    }

    /// How many bytes of the input to read at a time.
    private static let readBytes = 64 * 1024

    private func publish(_ lines: [PendingLines.Line]) async throws {
        do { try await hub.publish(lines.map(\.event), acknowledge: acknowledge) } catch let error as HubError {
            let events = error.events ?? lines.indices
            let (first, last) = (lines[events.lowerBound].number, lines[events.upperBound - 1].number)
            let name = events.count == 1 ? "line \(first)" : "lines \(first) to \(last)"
            let error = ClientError(error)
            throw ClientError(error.kind, "\(name): \(error.description)")
        }
    }

    private func acknowledge(_ ids: [String]) async throws {
        outage.end()
        published += ids.count
        // If the reader of the ids is gone, the events are still to be published.
        if isRead {
            let lines = StandardStream.output.isTerminal ? ids.map(\.visible) : ids
            isRead = try await StandardStream.output.send(Array((lines.joined(separator: "\n") + "\n").utf8))
        }
        progress?.show(tally)
    }

    private var tally: String { "published: \(published) \(published == 1 ? "event" : "events")" }
}

/// The time in which the hub does not answer. It is reported once.
private final class Outage: Sendable {
    static let noteAfter = Duration.seconds(1)

    private let isNoted = Atomic(false)

    /// Whether to report it.
    func begin() -> Bool { !isNoted.exchange(true, ordering: .relaxed) }

    func end() { isNoted.store(false, ordering: .relaxed) }
}
