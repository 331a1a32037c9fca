// SPDX-License-Identifier: Apache-2.0

import Martlet
import MartletTesting
import Testing

@testable import MartletHooks

@Suite("Which node sends which hooks") final class HookPlanTests {
    private static let (old, own, young) = (NodeName(text: "1"), NodeName(text: "2"), NodeName(text: "3"))

    private var plan = HookPlan<Time>(HookPlanTests.own, HookLimits(), hasBoard: true, at: at(0))

    private func join(_ topic: TopicSelector, at seconds: Double) {
        plan.take(OccupancyChange(topic, isOccupied: true), at: at(seconds))
    }

    private func leave(_ topic: TopicSelector, at seconds: Double) {
        plan.take(OccupancyChange(topic, isOccupied: false), at: at(seconds))
    }

    /// Rounds of the board, one each second, up to a time.
    private func see(_ others: [NodeName], from start: Int, through end: Int, isAway: Bool = false) {
        for second in start...end {
            plan.see(others, isAway: isAway, at: at(Double(second)))
            plan.advance(to: at(Double(second)), isDraining: false)
        }
    }

    /// What is sent at a time, all of it delivered.
    private func sent(_ seconds: Double, isDraining: Bool = false) -> [String] {
        plan.advance(to: at(seconds), isDraining: isDraining)
        var all: [String] = []
        while case let hooks = plan.next(at: at(seconds)), !hooks.isEmpty {
            all += said(hooks)
            plan.delivered()
        }
        return all
    }

    @Test("Without a board, a node sends at once, and says once that it has named everything")
    func alone() {
        plan = HookPlan(Self.own, HookLimits(), hasBoard: false, at: at(0))
        join("a", at: 1)
        #expect(sent(1) == ["+a"])
        #expect(plan.nextTime(isDraining: false) == at(5))
        #expect(sent(5) == ["synced"])
        leave("a", at: 6)
        #expect(plan.nextTime(isDraining: false) == at(11))
        #expect(sent(10.9) == [])
        #expect(sent(11) == ["-a"])
        #expect(plan.nextTime(isDraining: false) == nil)
    }

    @Test("A node that drains alone vacates nothing, since its clients come back to the next run")
    func draining() {
        plan = HookPlan(Self.own, HookLimits(), hasBoard: false, at: at(0))
        join("a", at: 1)
        #expect(sent(5) == ["+a", "synced"])
        leave("a", at: 6)
        #expect(plan.nextTime(isDraining: true) == nil)
        #expect(sent(60, isDraining: true) == [])
        // With others, it knows whether the clients have come back.
        plan = HookPlan(Self.own, HookLimits(), hasBoard: true, at: at(0))
        see([Self.young], from: 0, through: 5)
        join("a", at: 5)
        join("b", at: 5)
        #expect(sent(5) == ["+a", "+b", "synced"])
        leave("a", at: 6)
        leave("b", at: 6)
        plan.replace(Self.young, with: ["a"], at: at(9))
        #expect(sent(60, isDraining: true) == ["-b"])
    }

    @Test("The oldest node sends for all once it has been the first for a while")
    func oldest() {
        see([Self.young], from: 0, through: 4)
        join("a", at: 1)
        plan.replace(Self.young, with: ["a", "b"], at: at(2))
        #expect(!plan.sends && sent(4) == [])
        see([Self.young], from: 5, through: 5)
        #expect(plan.sends)
        let statement = sent(5)
        #expect(Set(statement.dropLast()) == ["+a", "+b"] && statement.count == 3 && statement.last == "synced")
        plan.replace(Self.young, with: ["c"], at: at(6))
        leave("a", at: 6)
        #expect(sent(6) == ["+c"])
        #expect(Set(sent(11)) == ["-a", "-b"])
    }

    @Test("A younger node is silent, and takes over what the older one may not have sent when that is gone")
    func takeover() {
        join("a", at: 0)
        plan.replace(Self.old, with: ["b", "c"], at: at(0))
        see([Self.old], from: 0, through: 100)
        #expect(!plan.sends && sent(100) == [])
        // The old node dies, and its topics with it. A client of it is back here.
        plan.replace(Self.old, with: [], at: at(101))
        join("c", at: 101)
        see([], from: 101, through: 105)
        #expect(sent(105) == [])
        see([], from: 106, through: 106)
        let sent = sent(106)
        #expect(sent.first == "-b")
        #expect(Set(sent.dropFirst().dropLast()) == ["+a", "+c"] && sent.count == 4 && sent.last == "synced")
    }

    @Test("A node that does not send remembers for as long as the older one may be dead unnoticed, and no longer")
    func memory() {
        see([Self.old], from: 0, through: 9)
        join("early", at: 9)
        leave("early", at: 9)
        see([Self.old], from: 10, through: 18)
        join("late", at: 18)
        leave("late", at: 18)
        // They are vacated at 14 and 23, and nothing is sent until 39. The memory is of 20 seconds.
        see([Self.old], from: 19, through: 33)
        see([], from: 34, through: 39)
        #expect(sent(39) == ["-late", "synced"])
    }

    @Test("While the board is away, nothing of other nodes ends, and after its expiry nothing is sent")
    func away() {
        plan.replace(Self.young, with: ["a"], at: at(0))
        see([Self.young], from: 0, through: 5)
        #expect(sent(5) == ["+a", "synced"])
        see([Self.young], from: 6, through: 14, isAway: true)
        join("b", at: 14)
        #expect(sent(14) == ["+b"])
        see([Self.young], from: 15, through: 15, isAway: true)
        join("c", at: 15)
        #expect(!plan.sends && sent(60) == [])
        // The board is back. After a while, all is stated.
        see([Self.young], from: 61, through: 65)
        #expect(sent(65) == [])
        see([Self.young], from: 66, through: 66)
        #expect(Set(sent(66)) == ["+a", "+b", "+c", "synced"])
    }

    @Test("A node that an older one joins is silent from then on")
    func olderJoins() {
        see([], from: 0, through: 5)
        #expect(sent(5) == ["synced"])
        join("a", at: 6)
        see([Self.old], from: 6, through: 6)
        #expect(sent(6) == [])
    }

    @Test("The revision changes with the topics of this node only")
    func revision() {
        let start = plan.revision
        plan.replace(Self.young, with: ["x"], at: at(0))
        #expect(plan.revision == start && plan.ownTopics == [])
        join("a", at: 0)
        #expect(plan.revision != start && plan.ownTopics == ["a"])
    }
}
