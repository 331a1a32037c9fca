// SPDX-License-Identifier: Apache-2.0

import DequeModule
public import Martlet
import MartletSupport
import Synchronization

/// The streams that have ended, until hooks have told the application of them.
///
///     let closed = ClosedStreams(for: configuration)
///     let hub = Hub(log: log, onStreamEnd: closed.add)
///     let hooks = HookService(of: hub, configuration: configuration, closed: closed)
///
/// If too many wait, the oldest is dropped. All methods may be called from any thread.
public final class ClosedStreams: Sendable {
    private struct Entry {
        var stream: EndedStream
        var number: Int
        var time: WallTime
    }

    private struct State {
        var waiting: Deque<Entry> = []
        /// How many of the first are being sent.
        var sending = 0
        var dropped = 0
        /// Counts the streams, so that each hook has an id.
        var number = 0
    }

    private let topics: Set<TopicSelector>
    private let capacity: Int
    private let maximumAge: Duration
    private let state = Mutex(State())
    /// Fires when the first of those that wait has come.
    let changed = Signal()

    public init(for configuration: HookConfiguration) {
        topics = configuration.topics
        capacity = max(1, configuration.limits.queue)
        maximumAge = configuration.limits.maximumAge
    }

    /// Takes a stream that has ended, if hooks are about one of its topics. It does not wait.
    public func add(_ stream: EndedStream) {
        guard isWanted(stream) else { return }
        let isFirst = state.withLock { state in
            if state.waiting.count >= capacity { drop(1, of: &state) }
            state.number += 1
            state.waiting.append(Entry(stream: stream, number: state.number, time: .now))
            return state.waiting.count == 1
        }
        if isFirst { changed.fire() }
    }

    private func isWanted(_ stream: EndedStream) -> Bool {
        topics.contains(.every)
            || stream.topics.contains { selector in
                guard let topic = selector.exactTopic else { return topics.contains(selector) }
                return topics.contains { $0.matches(topic) }
            }
    }

    private func drop(_ count: Int, of state: inout State) {
        state.waiting.removeFirst(count)
        state.sending = max(0, state.sending - count)
        state.dropped += count
    }

    var levels: (waiting: Int, dropped: Int) { state.withLock { ($0.waiting.count, $0.dropped) } }

    /// The hooks to send now, the oldest first. Call ``delivered()`` when they were.
    ///
    /// - Parameters:
    ///   - count: The most of them.
    ///   - node: The beginning of all ids.
    func next(atMost count: Int, from node: NodeName, at now: WallTime = .now) -> [Hook] {
        state.withLock { state in
            let oldest = now.milliseconds - maximumAge.wholeMilliseconds
            drop(state.waiting.prefix { $0.time.milliseconds <= oldest }.count, of: &state)
            let entries = state.waiting.prefix(max(count, state.sending))
            state.sending = entries.count
            return entries.map { Hook(id: "\(node)-c\($0.number)", event: .closed, stream: $0.stream, time: $0.time) }
        }
    }

    /// The receiver has what ``next(atMost:from:at:)`` returned last.
    func delivered() {
        state.withLock { state in
            state.waiting.removeFirst(state.sending)
            state.sending = 0
        }
    }
}
