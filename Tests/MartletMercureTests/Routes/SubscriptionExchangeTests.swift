// SPDX-License-Identifier: Apache-2.0

import Martlet
import MartletHTTP
import MartletMercure
import MartletTesting
import TestSupport
import Testing

@Suite(.timeLimit(.minutes(10))) struct SubscriptionExchangeTests {
    private static let root = MercureCluster.root

    private static let ada = Grant(seesAllPublic: true, payload: "{\n\"name\": \"Ada \\u00e9\"}")

    @Test("A subscription on one node is announced and listed on all")
    func subscriptionOnOneNode() async throws {
        try await MercureCluster.run(3, grants: ["ada": Self.ada]) { cluster in
            let here = try await cluster[0].watch()
            let there = try await cluster[1].watch()
            let source = try await cluster[0].mercure.listen("topic=a/1&topic=b/%7Bid%7D", token: "ada")
            let began = [try await here.nextSubscription(), try await here.nextSubscription()]
            #expect(began.map(\.topic) == ["a/1", "b/{id}"])
            #expect(began[0].payload == ["name": "Ada \u{E9}"])
            try await cluster.settle()
            #expect(try await [there.nextSubscription(), there.nextSubscription()] == began)

            let other = try await cluster[2].mercure.listen("topic=a/1")
            try await cluster.settle()
            #expect(try await there.nextSubscription().topic == "a/1")
            let lists = try await [cluster[0].list(), cluster[1].list(), cluster[2].list()]
            #expect(Set(lists.map(\.body)).count == 1)
            #expect(Set(lists.map { $0.header("etag") }).count == 1)
            for node in cluster.nodes {
                #expect(try await node.topics().sorted() == ["a/1", "a/1", "b/{id}"])
                #expect(try await node.topics("/a%2F1").count == 2)
                var one = try SubscriptionJSON(try await node.list(String(began[1].id.dropFirst(Self.root.count))).body)
                one.lastEventID = nil
                #expect(one == began[1])
            }

            try await source.connection.close()
            for topic in ["a/1", "b/{id}"] {
                #expect(try await here.next { $0.active == false }.topic == topic)
            }
            try await cluster.settle()
            for document in began {
                var ended = document
                ended.active = false
                #expect(try await there.nextSubscription() == ended)
            }
            #expect(try await cluster[1].topics() == ["a/1"])
            #expect(try await cluster[1].list(String(began[0].id.dropFirst(Self.root.count))).status == 404)
            try await other.connection.close()
        }
    }

    @Test("The subscriptions of a node are announced when the hub first learns of it")
    func whatANode() async throws {
        try await MercureCluster.run { cluster in
            let source = try await cluster[0].mercure.listen("topic=early")
            let watcher = try await cluster[1].watch()
            try await cluster.settle()
            let began = try await watcher.nextSubscription()
            #expect(began.topic == "early" && began.active == true)
            try await source.connection.close()
        }
    }

    @Test("The subscriptions of a node that dies end when they have expired")
    func subscriptionsOfANode() async throws {
        try await MercureCluster.run(3) { cluster in
            let watcher = try await cluster[1].watch()
            let sources = try await [
                cluster[0].mercure.listen("topic=dead"), cluster[2].mercure.listen("topic=alive"),
            ]
            try await cluster.settle()
            #expect(try await cluster[1].topics().sorted() == ["alive", "dead"])
            // It has posted in the first tick; there has been one since.
            await cluster[0].die()
            try await cluster.tick(8)
            #expect(try await cluster[1].topics().sorted() == ["alive", "dead"])
            try await cluster.tick(2)
            #expect(try await cluster[1].topics() == ["alive"])
            let ended = try await watcher.next { $0.active == false }
            #expect(ended.topic == "dead")
            for source in sources { try await source.connection.close() }
        }
    }

    @Test("A node that stops takes its subscriptions away at once")
    func nodeThatStopsTakes() async throws {
        try await MercureCluster.run { cluster in
            let watcher = try await cluster[1].watch()
            let source = try await cluster[0].mercure.listen("topic=a")
            try await cluster.settle()
            #expect(try await cluster[1].topics() == ["a"])
            try await cluster[0].stop()
            #expect(try await cluster.board.versions().count == 1)
            try await cluster.tick(1)
            #expect(try await cluster[1].topics() == [])
            #expect(try await watcher.next { $0.active == false }.topic == "a")
            // It is still there on its own node.
            #expect(try await cluster[0].topics() == ["a"])
            try await source.connection.close()
        }
    }

    @Test("While the board is away nothing is disturbed, and what is known of others expires")
    func whileTheBoardIsAway() async throws {
        try await MercureCluster.run { cluster in
            let watcher = try await cluster[1].watch()
            let source = try await cluster[0].mercure.listen("topic=a")
            try await cluster.settle()
            #expect(try await watcher.nextSubscription().active == true)

            cluster.board.isAway = true
            try await cluster.tick(9)
            try await cluster[1].mercure.hub.publish("1", to: "a")
            #expect(try await source.next()?.data == "1")
            let local = try await cluster[1].mercure.listen("topic=local")
            #expect(try await watcher.nextSubscription().topic == "local")
            #expect(try await cluster[1].topics().sorted() == ["a", "local"])
            try await cluster.tick(1)
            #expect(try await cluster[1].topics() == ["local"])
            let ended = try await watcher.next { $0.topic == "a" }
            #expect(ended.active == false)

            cluster.board.isAway = false
            try await cluster.settle()
            #expect(try await watcher.next { $0.topic == "a" }.active == true)
            for node in cluster.nodes { #expect(try await node.topics().sorted() == ["a", "local"]) }
            #expect(cluster.recorded.lines.count { $0.hasPrefix("error") } == 2)
            #expect(cluster.recorded.lines.count { $0.hasPrefix("info") } == 2)
            #expect(cluster.recorded.lines.count == 4)
            for source in [source, local] { try await source.connection.close() }
        }
    }

    @Test("A board that has forgotten everything is told again")
    func boardThatHasForgottenEverything() async throws {
        try await MercureCluster.run { cluster in
            let source = try await cluster[0].mercure.listen("topic=a")
            try await cluster.settle()
            cluster.board.clear()
            // Until the posting would have been renewed.
            try await cluster.tick(5)
            #expect(try await cluster[1].topics() == ["a"])
            #expect(cluster.recorded.lines.isEmpty)
            try await source.connection.close()
        }
    }

    @Test("Unchanged subscriptions are neither posted nor read again")
    func whatHasNotChanged() async throws {
        try await MercureCluster.run { cluster in
            let source = try await cluster[0].mercure.listen("topic=a")
            try await cluster.settle()
            let versions = try await cluster.board.versions()
            let reads = cluster.board.readCount
            try await cluster.tick(30)
            #expect(try await cluster.board.versions() == versions)
            #expect(cluster.board.readCount == reads)
            #expect(try await cluster[1].topics() == ["a"])
            try await source.connection.close()
        }
    }

    @Test("Only who has a right to it hears of a subscription on another node")
    func onlyWhoHasARight() async throws {
        let some = Grant(subscribe: [Self.root + "/a{/subscriber}"].selectors, seesAllPublic: true)
        let one = Grant(subscribe: [Self.root + "/a"].selectors, seesAllPublic: true)
        try await MercureCluster.run(grants: ["some": some, "one": one]) { cluster in
            let there = cluster[1].mercure
            let anonymous = try await there.listen(MercureCluster.watching + "&topic=*")
            let some = try await there.listen(MercureCluster.watching + "&topic=*", token: "some")
            let sources = try await [
                cluster[0].mercure.listen("topic=b"), cluster[0].mercure.listen("topic=a"),
            ]
            try await cluster.settle()
            try await cluster[0].mercure.hub.publish("public", to: "x")
            #expect(try await anonymous.next()?.data == "public")
            #expect(try SubscriptionJSON(try await some.next()?.data).topic == "a")
            #expect(try await some.next()?.data == "public")
            for (path, token, status) in [
                ("", "one", 401), ("/b", "one", 401), ("/a", "one", 200), ("/b", "some", 401),
            ] {
                #expect(try await cluster[1].list(path, token: token).status == status, "\(path) \(token)")
            }
            for source in sources { try await source.connection.close() }
        }
    }

    @Test("Subscriptions that do not fit on the board are left out, with one warning")
    func whatHasNoRoom() async throws {
        try await MercureCluster.run(maximumBytes: 151) { cluster in
            var sources: [TestEventSource] = []
            for number in 0..<4 {
                sources.append(try await cluster[0].mercure.listen("topic=\(number)"))
                try await cluster.settle()
            }
            #expect(try await cluster[1].topics() == ["0", "1", "2"])
            #expect(try await cluster[0].topics() == ["0", "1", "2", "3"])
            #expect(cluster.recorded.lines.count == 1 && cluster.recorded.lines[0].contains(#""omitted": 1"#))
            for source in sources { try await source.connection.close() }
        }
    }

    @Test("Postings of another version are ignored")
    func whatAnotherVersion() async throws {
        try await MercureCluster.run(1) { cluster in
            let node = NodeName()
            func post(_ version: UInt64, _ bytes: [UInt8]) async throws {
                try await cluster.board.post(
                    NodePosting(version: version, bytes: bytes), as: node, for: .seconds(3600))
                try await cluster.tick(1)
            }
            let known: [UInt8] = [1, 1, 0x75, 1, 1, 0x61, 0]
            try await post(1, known)
            #expect(try await cluster[0].topics() == ["a"])
            try await post(2, [2] + known)
            #expect(try await cluster[0].topics() == [])
            #expect(cluster.recorded.lines.count == 1)
            try await post(3, known)
            #expect(try await cluster[0].topics() == ["a"])
        }
    }

    @Test("More nodes than are allowed are not known, and that is said once")
    func moreNodesThanAreAllowed() async throws {
        var configuration = ExchangeConfiguration()
        configuration.nodes = 1
        try await MercureCluster.run(1, exchange: configuration) { cluster in
            let names = [NodeName(text: "~1"), NodeName(text: "~2")]
            for (name, topic) in zip(names, "ab".utf8) {
                try await cluster.board.post(
                    NodePosting(version: 1, bytes: [1, 1, topic, 1, 1, topic, 0]), as: name, for: .seconds(3600))
            }
            try await cluster.tick(3)
            #expect(try await cluster[0].topics() == ["a"])
            #expect(cluster.recorded.lines.count == 1)
            try await cluster.board.remove(names[0])
            try await cluster.tick(1)
            #expect(try await cluster[0].topics() == ["b"])
        }
    }
}
