// SPDX-License-Identifier: Apache-2.0

import Foundation

/// Publishes an input batch by batch, in its order, and prints the ids. It stops at the first line that cannot be
/// published.
struct PublishRun {
    private let client: HubClient
    /// Names the run among all others.
    private let name = UUID().uuidString
    private var progress: ProgressLine?
    private var published = 0
    private var isRead = true
    /// Whether the only event came from the command line.
    private let isSingle: Bool

    /// - Parameter isSingle: Whether there is one event, which comes from no line.
    init(_ client: HubClient, isSingle: Bool) {
        self.client = client
        self.isSingle = isSingle
        // On a terminal the ids are progress enough.
        if !isSingle, !StandardStream.output.isTerminal { progress = ProgressLine() }
    }

    /// Publishes what standard input has: whatever is there goes in one request, and nothing waits for more.
    ///
    /// - Throws: ``ClientError`` that names the first line that is not published, and how much is.
    mutating func publishInput(_ input: Batcher) async throws {
        var input = input
        defer { progress?.clear() }
        while true {
            while input.takesMore, input.isEmpty || StandardStream.input.isReadable {
                try input.append(try await StandardStream.input.receive(upTo: Self.readBytes))
            }
            do {
                guard let batch = try input.next() else { return }
                try await publish(batch)
            } catch let error as ClientError {
                throw ClientError(error.kind, "\(error.description) (\(tally))")
            }
        }
    }

    /// How much is read of the input at a time.
    private static let readBytes = 64 * 1024

    /// - Throws: ``ClientError`` that names the line that is not published.
    mutating func publish(_ batch: LineBatch) async throws {
        let outcome: HubClient.Outcome
        do { outcome = try await client.publish(batch, run: name) } catch let error as ClientError {
            throw ClientError(error.kind, named(batch.numbers) + error.description)
        }
        switch outcome {
        case .published(let ids):
            published += ids.count
            // Who is not interested in the ids still has his events published.
            if isRead {
                let lines = StandardStream.output.isTerminal ? ids.map(\.visible) : ids
                isRead = try await StandardStream.output.send(Array((lines.joined(separator: "\n") + "\n").utf8))
            }
            let now = MonotonicTime.now
            let text = tally
            if progress?.isDue(at: now) == true { progress?.show(text, at: now) }
        case .refused(let refusal):
            guard let count = refusal.lines(toTryOf: batch.lines.count) else {
                let lines = refusal.isOfOneLine ? batch.numbers.lowerBound...batch.numbers.lowerBound : batch.numbers
                throw ClientError(.refused, named(lines) + refusal.detail)
            }
            let (first, second) = batch.split(at: count)
            try await publish(first)
            try await publish(second)
        }
    }

    private func named(_ lines: ClosedRange<Int>) -> String {
        if isSingle { return "" }
        return lines.count == 1 ? "line \(lines.lowerBound): " : "lines \(lines.lowerBound) to \(lines.upperBound): "
    }

    private var tally: String { "published: \(published) \(published == 1 ? "event" : "events")" }
}
