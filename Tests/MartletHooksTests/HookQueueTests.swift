// SPDX-License-Identifier: Apache-2.0

import Martlet
import MartletTesting
import Testing

@testable import MartletHooks

/// What a hook says, as text: `+x`, `-x` or `synced`.
func said(_ hooks: [Hook]) -> [String] {
    hooks.map { hook in
        switch hook.event {
        case .occupied: "+\(hook.selector?.text ?? "?")"
        case .vacated: "-\(hook.selector?.text ?? "?")"
        case .synced: "synced"
        case .closed: "closed \(hook.stream?.reason.rawValue ?? "?")"
        }
    }
}

@Suite("The queue of hooks") final class HookQueueTests {
    private var ledger = OccupancyLedger<Time>(delay: .zero, capacity: 1000)
    private var queue = HookQueueTests.queue()

    private static func queue(capacity: Int = 100, batchSize: Int = 3) -> HookQueue<Time> {
        HookQueue(
            sender: NodeName(text: "me"), capacity: capacity, maximumAge: .seconds(60), batchSize: batchSize)
    }

    private func occupy(_ selector: TopicSelector) {
        _ = ledger.take(OccupancyChange(selector, isOccupied: true), of: NodeName(text: "me"), at: at(0))
    }

    private func next(_ seconds: Double = 0) -> [String] { said(queue.next(at: at(seconds), ledger)) }

    @Test("Hooks are sent in their order, some in each request, and again until they are delivered")
    func order() {
        for name in ["a", "b", "c", "d"] { queue.put(.occupied, TopicSelector(name), at: at(0)) }
        let first = queue.next(at: at(0), ledger)
        #expect(said(first) == ["+a", "+b", "+c"])
        // The ids stay.
        #expect(queue.next(at: at(1), ledger) == first)
        #expect(queue.count == 4)
        queue.delivered()
        #expect(next() == ["+d"])
        queue.delivered()
        #expect(next() == [] && queue.count == 0)
    }

    @Test("Of a topic only the last hook is sent, also if an earlier one was sent in vain")
    func superseded() {
        queue.put(.occupied, "a", at: at(0))
        queue.put(.occupied, "b", at: at(0))
        queue.put(.vacated, "a", at: at(1))
        #expect(next(1) == ["-a", "+b"])
        queue.put(.occupied, "a", at: at(2))
        #expect(next(2) == ["+b", "+a"])
        queue.delivered()
        #expect(next(2) == [] && queue.dropped == 0)
    }

    @Test("Each hook has an id that no other has")
    func ids() {
        queue.put(.occupied, "a", at: at(0))
        let first = queue.next(at: at(0), ledger)
        queue.put(.vacated, "a", at: at(0))
        let second = queue.next(at: at(0), ledger)
        #expect(first.map(\.id) == ["me-1"] && second.map(\.id) == ["me-2"])
    }

    @Test("Up to the capacity hooks wait; one more drops the oldest, and everything is stated afterwards")
    func overflow() {
        queue = Self.queue(capacity: 2, batchSize: 10)
        queue.put(.vacated, "a", at: at(0))
        queue.put(.occupied, "b", at: at(0))
        #expect(queue.dropped == 0)
        queue.put(.occupied, "c", at: at(0))
        #expect(queue.dropped == 1 && queue.count == 2)
        occupy("b")
        occupy("c")
        occupy("z")
        // What is in the same request is not stated twice.
        #expect(next() == ["+b", "+c", "+z", "synced"])
        queue.delivered()
        #expect(next() == [])
    }

    @Test("A hook is sent up to its greatest age; when it is older, everything is stated instead")
    func age() {
        queue.put(.vacated, "a", at: at(0))
        #expect(next(59.9) == ["-a"])
        queue.put(.vacated, "b", at: at(10))
        #expect(next(60) == ["-b", "synced"])
        #expect(queue.dropped == 1)
        // The end of the statement gets old, too. It is stated again, so that the receiver learns of it at last.
        #expect(next(120) == ["synced"])
        queue.delivered()
        #expect(next(1000) == [])
    }

    @Test("A statement has everything that is occupied, in many requests, and waits for other hooks")
    func statement() {
        for name in ["a", "b", "c", "d"] { occupy(TopicSelector(name)) }
        queue.put(.occupied, "a", at: at(0))
        queue.put(.vacated, "z", at: at(0))
        queue.state(["a", "gone", "b", "c", "d"])
        #expect(next() == ["-z", "+a", "+b"])
        queue.delivered()
        queue.put(.occupied, "new", at: at(0))
        #expect(next() == ["+new", "+c", "+d"])
        queue.delivered()
        #expect(next() == ["synced"])
        queue.delivered()
        #expect(next() == [])
    }

    @Test("Without a statement, only its end is sent, behind what waits")
    func endOfStatement() {
        queue.put(.occupied, "a", at: at(0))
        queue.endStatement()
        #expect(next() == ["+a", "synced"])
    }

    @Test("A node that does not send forgets what is old, and drops without counting")
    func silentNode() {
        queue = Self.queue(capacity: 2)
        for (second, name) in ["a", "b", "c"].enumerated() {
            queue.put(.vacated, TopicSelector(name), isSent: false, at: at(Double(second)))
        }
        #expect(queue.dropped == 0 && queue.count == 2)
        queue.forget(before: at(2))
        #expect(next() == ["-c"])
    }
}
