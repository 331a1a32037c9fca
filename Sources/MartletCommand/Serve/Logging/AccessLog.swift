// SPDX-License-Identifier: Apache-2.0

import CoreMetrics
import DequeModule
import Dispatch
import Logging
import Martlet
import MartletSupport
import Synchronization

/// Writes a line for each stream that has ended, on a thread that no client waits for.
///
/// If the log takes lines too slowly, those that find no room are left out. They are counted, and the log says how many.
final class AccessLog: Sendable {
    private struct State {
        var waiting: Deque<EndedStream> = []
        var lost = 0
        var isWriting = false
    }

    /// The most ended streams that wait to be written.
    static let capacity = 16_384
    /// The most topics in a line, and the most bytes of each.
    static let mostTopics = 16
    static let mostTopicBytes = 256
    /// The longest time that the end of the process waits for lines to be written.
    private static let patience = Duration.seconds(2)

    private let logger: Logger
    private let capacity: Int
    private let lost: Counter
    private let state = Mutex(State())
    private let written = Signal()
    private let queue = DispatchQueue(label: "martlet.access")

    init(_ logger: Logger, capacity: Int = AccessLog.capacity, metrics: any MetricsFactory) {
        self.logger = logger
        self.capacity = capacity
        lost = Counter(label: "martlet_access_lines_lost", dimensions: [], factory: metrics)
    }

    /// Has a line written. It does not wait for the log.
    func write(_ stream: EndedStream) {
        let (isFirst, isLost) = state.withLock { state in
            guard state.waiting.count < capacity else {
                state.lost += 1
                return (false, true)
            }
            state.waiting.append(stream)
            defer { state.isWriting = true }
            return (!state.isWriting, false)
        }
        if isLost { lost.increment() }
        if isFirst { queue.async { self.writeAll() } }
    }

    /// Returns once all lines are written, or after a while.
    func flush() async {
        try? await withTimeout(Self.patience, throwing: CancellationError()) {
            try await self.written.wait { self.state.withLock { $0.isWriting ? nil : () } }
        }
    }

    private func writeAll() {
        while let (stream, lost) = next() {
            if let stream { logger.info("Stream ended.", metadata: Self.fields(of: stream)) }
            if lost > 0 {
                logger.warning(
                    "Streams have ended that are not in the log, because it takes lines too slowly.",
                    metadata: ["streams": .stringConvertible(lost)])
            }
        }
        written.fire()
    }

    /// The lines to write next; `nil` if there are none.
    private func next() -> (stream: EndedStream?, lost: Int)? {
        state.withLock { state in
            let stream = state.waiting.popFirst()
            // Said once there is room again.
            let lost = state.waiting.isEmpty ? state.lost : 0
            if lost > 0 { state.lost = 0 }
            guard stream != nil || lost > 0 else {
                state.isWriting = false
                return nil
            }
            return (stream, lost)
        }
    }

    private static func fields(of stream: EndedStream) -> Logger.Metadata {
        let topics = stream.topics.map(\.text).sorted().prefix(mostTopics)
        var fields: Logger.Metadata = [
            "reason": "\(stream.reason.rawValue)",
            "duration_ms": .stringConvertible(stream.duration.wholeMilliseconds),
            "events": .stringConvertible(stream.events), "bytes": .stringConvertible(stream.bytes),
            "topics": .array(topics.map { .string($0.shortened(toBytes: mostTopicBytes)) }),
        ]
        if stream.topics.count > mostTopics {
            fields["more_topics"] = .stringConvertible(stream.topics.count - mostTopics)
        }
        for (name, text) in stream.origin { fields[name] = .string(text) }
        return fields
    }
}
