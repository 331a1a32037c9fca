// SPDX-License-Identifier: Apache-2.0

import Foundation
import Logging
import Martlet
import MartletSupport
import Synchronization
import TestSupport
import Testing

@Suite("Groups of publishes", .timeLimit(.minutes(10)))
struct GroupPublisherTests {
    /// What a server was sent, and how it answers.
    private final class Server: Sendable {
        struct State {
            var groups: [(id: GroupPublisher.Group.ID, texts: [String])] = []
            var failures: [any Error] = []
            var isHeld = false
            var isBusy = false
        }

        let state = Mutex(State())

        func send(_ group: GroupPublisher.Group) throws -> [Result<[Position], MartletError>] {
            while state.withLock({ state in
                state.isBusy = true
                return state.isHeld
            }) {}
            return try state.withLock { state in
                state.groups.append((group.id, group.publishes.flatMap(\.events).map(\.data)))
                if let error = state.failures.popLast() { throw error }
                return group.publishes.map { publish in
                    publish.key == "used"
                        ? .failure(.keyReused) : .success(publish.events.map { Position(checked: $0.data) })
                }
            }
        }
    }

    private let server = Server()

    private func publisher(
        publishes: Int = 100, groupEvents: Int = 100, patience: Duration = .seconds(30)
    ) -> GroupPublisher {
        let publisher = notStarted(publishes: publishes, groupEvents: groupEvents, patience: patience)
        do { try publisher.start() } catch { Issue.record(error) }
        return publisher
    }

    private func notStarted(
        publishes: Int = 100, groupEvents: Int = 100, patience: Duration = .seconds(30),
        startThread: @escaping WorkThread.Starter = WorkThread.starter
    ) -> GroupPublisher {
        GroupPublisher(
            node: "node",
            configuration: .init(
                queuedPublishes: publishes, queuedBytes: 1 << 20, groupEvents: groupEvents, groupBytes: 1 << 20,
                patience: patience, retryDelay: .milliseconds(1)...Duration.milliseconds(2), idleInterval: .seconds(60)),
            reachability: Reachability(of: "test", logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }),
            send: server.send, idle: {}, startThread: startThread)
    }

    private func event(_ text: String) -> [Event] { [Event(topic: "a", data: text)] }

    @Test("Each publish gets its own answer")
    func answers() async throws {
        let publisher = publisher()
        #expect(try await publisher.publish(event("1") + event("2"), once: nil) == [Position("1"), Position("2")])
        await #expect { try await publisher.publish(event("3"), once: "used") } throws: {
            ($0 as? MartletError)?.code == .keyReused
        }
        #expect(try await publisher.publish(event("4"), once: "new") == [Position("4")])
        await publisher.stop()
    }

    @Test("Without a thread, every publish fails, and stopping returns")
    func noThread() async throws {
        let publisher = notStarted { _ throws(ThreadError) in throw ThreadError(EAGAIN) }
        let waiting = Task { try await publisher.publish(event("1"), once: nil) }
        // Refused before or after the start that fails.
        await Task.yield()
        #expect(throws: ThreadError.self) { try publisher.start() }
        await #expect(throws: MartletError.self) { try await waiting.value }
        await #expect(throws: MartletError.self) { try await publisher.publish(event("2"), once: nil) }
        await publisher.stop()
    }

    @Test("Publishes that arrive while a group is on its way are sent together, up to the bound")
    func grouping() async throws {
        let publisher = publisher(groupEvents: 3)
        server.state.withLock { $0.isHeld = true }
        try await withThrowingTaskGroup(of: Void.self) { group in
            for number in 0..<10 {
                group.addTask { _ = try await publisher.publish(event("\(number)"), once: nil) }
            }
            group.addTask { self.server.state.withLock { $0.isHeld = false } }
            try await group.waitForAll()
        }
        let groups = server.state.withLock { $0.groups }
        #expect(groups.flatMap(\.texts).sorted() == (0..<10).map(String.init))
        #expect(groups.allSatisfy { $0.texts.count <= 3 })
        #expect(groups.map(\.id.number) == Array(1...UInt64(groups.count)))
        await publisher.stop()
    }

    @Test("A group without an answer is sent again under the same id")
    func again() async throws {
        let publisher = publisher()
        server.state.withLock {
            $0.failures = [LogUnreachable("lost", mayHaveAccepted: true), LogUnreachable("away")]
        }
        #expect(try await publisher.publish(event("1"), once: nil) == [Position("1")])
        #expect(try await publisher.publish(event("2"), once: nil) == [Position("2")])
        #expect(server.state.withLock { $0.groups }.map(\.id.number) == [1, 1, 1, 2])
        #expect(server.state.withLock { $0.groups }.map(\.texts) == [["1"], ["1"], ["1"], ["2"]])
        await publisher.stop()
    }

    @Test("A publish that gets no answer fails with whether it may have been accepted, and is not sent again")
    func givingUp() async throws {
        let publisher = publisher(patience: .milliseconds(20))
        for mayHaveAccepted in [true, false] {
            server.state.withLock {
                $0.groups = []
                $0.failures = (0..<1000).map { _ in LogUnreachable("lost", mayHaveAccepted: mayHaveAccepted) }
            }
            await #expect { try await publisher.publish(event("1"), once: nil) } throws: { error in
                error as? MartletError == .logUnreachable(mayHaveAccepted: mayHaveAccepted)
            }
        }
        let sent = server.state.withLock { $0.groups.count }
        await publisher.stop()
        #expect(server.state.withLock { $0.groups.count } == sent)
    }

    @Test("Any other error goes to all publishers of the group at once")
    func refused() async throws {
        let publisher = publisher()
        server.state.withLock { $0.failures = [MartletError(.storageFull, "full")] }
        await #expect { try await publisher.publish(event("1"), once: nil) } throws: {
            ($0 as? MartletError)?.code == .storageFull
        }
        #expect(server.state.withLock { $0.groups.count } == 1)
        await publisher.stop()
    }

    @Test("Publishes over the bound fail at once, and those that wait when it stops fail")
    func bounds() async throws {
        let publisher = publisher(publishes: 2, groupEvents: 1)
        server.state.withLock { $0.isHeld = true }
        async let first = publisher.publish(event("first"), once: nil)
        try await until { server.state.withLock { $0.isBusy } }
        let codes = await withTaskGroup(of: MartletError.Code?.self) { group in
            for number in 0..<5 {
                group.addTask {
                    do { _ = try await publisher.publish(event("\(number)"), once: nil) } catch {
                        return (error as? MartletError)?.code
                    }
                    return nil
                }
            }
            var codes: [MartletError.Code?] = []
            // One is on its way, and two wait.
            while codes.count < 3, let code = await group.next() { codes.append(code) }
            server.state.withLock { $0.isHeld = false }
            for await code in group { codes.append(code) }
            return codes
        }
        #expect(codes.filter { $0 == .overloaded }.count == 3)
        #expect(codes.filter { $0 == nil }.count == 2)
        #expect(try await first == [Position("first")])
        await publisher.stop()
        await #expect { try await publisher.publish(event("1"), once: nil) } throws: {
            ($0 as? MartletError)?.code == .notRunning
        }
    }
}
