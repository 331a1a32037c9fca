// SPDX-License-Identifier: Apache-2.0

import Martlet
import Testing

/// Positions are numbers here.
@Suite("The buffer between a log and its tail", .timeLimit(.minutes(10)))
struct TailBufferTests {
    private let buffer = TailBuffer(capacity: 1000) { (Int($0.text) ?? 0) >= (Int($1.text) ?? 0) }

    private func record(_ number: Int) -> Record {
        Record(position: Position(checked: "\(number)"), event: Event(topic: "a", data: "\(number)"))
    }

    private func records(_ numbers: ClosedRange<Int>) -> [Record] { numbers.map(record) }

    /// History holds every number.
    private func tail(after place: Int, events: Int = 100) async throws -> Slice {
        try await buffer.tail(after: Position(checked: "\(place)"), limit: SliceLimit(events: events)) {
            after, through in
            let (first, last) = (Int(after.text) ?? 0, Int(through.text) ?? 0)
            return Slice(records: records(first + 1...last), end: through, isComplete: true)
        }
    }

    private func numbers(_ slice: Slice) -> [String] { slice.records.map(\.event.data) }

    @Test("Events are returned one slice at a time")
    func slices() async throws {
        buffer.begin(at: Position("0"))
        buffer.append(records(1...5), end: Position("5"))
        let first = try await tail(after: 0, events: 2)
        #expect(numbers(first) == ["1", "2"])
        #expect(first.end == Position("2"))
        #expect(!first.isComplete)
        let second = try await tail(after: 2)
        #expect(numbers(second) == ["3", "4", "5"])
        #expect(second.isComplete)
    }

    @Test("A reader from further back gets history first")
    func behind() async throws {
        buffer.begin(at: Position("3"))
        buffer.append(records(4...5), end: Position("5"))
        let history = try await tail(after: 1)
        #expect(numbers(history) == ["2", "3"])
        #expect(numbers(try await tail(after: 3)) == ["4", "5"])
        #expect(numbers(try await tail(after: 4)) == ["5"])
    }

    @Test("A reader that is ahead gets no event twice")
    func ahead() async throws {
        buffer.begin(at: Position("0"))
        buffer.append(records(1...3), end: Position("3"))
        async let slice = tail(after: 5)
        for _ in 0..<100 { await Task.yield() }
        buffer.append(records(4...5), end: Position("5"))
        buffer.append(records(6...7), end: Position("7"))
        #expect(numbers(try await slice).first == "6")
    }

    @Test("A gap begins a slice")
    func gaps() async throws {
        buffer.begin(at: Position("0"))
        buffer.append(records(1...2), end: Position("2"))
        buffer.append(gap: (Position("4"), .rolledBack), records(5...6), end: Position("6"))
        let before = try await tail(after: 0)
        #expect(numbers(before) == ["1", "2"])
        #expect(before.gap == nil)
        let told = try await tail(after: 2)
        #expect(told.gap == Position("4"))
        #expect(told.gapReason == .rolledBack)
        #expect(numbers(told) == ["5", "6"])
    }

    @Test("Entries that are not events wake no reader")
    func nothing() async throws {
        buffer.begin(at: Position("0"))
        buffer.append([], end: Position("3"))
        buffer.append(records(4...4), end: Position("4"))
        let slice = try await tail(after: 0)
        #expect(numbers(slice) == ["4"])
    }

    @Test("Beyond the bound there is no room until a reader takes events")
    func room() async throws {
        buffer.begin(at: Position("0"))
        #expect(buffer.waitForRoom(atMost: .zero))
        buffer.append(records(1...20), end: Position("20"))
        #expect(!buffer.waitForRoom(atMost: .milliseconds(1)))
        _ = try await tail(after: 0)
        #expect(buffer.waitForRoom(atMost: .zero))
    }

    @Test("Closing ends a call that waits")
    func closed() async throws {
        buffer.begin(at: Position("0"))
        let waiting = Task { try await tail(after: 0) }
        buffer.close()
        await #expect { try await waiting.value } throws: { ($0 as? MartletError)?.code == .notRunning }
    }
}
