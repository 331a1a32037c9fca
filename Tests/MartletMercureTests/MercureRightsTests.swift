// SPDX-License-Identifier: Apache-2.0

import Martlet
import Testing

@testable import MartletMercure

@Suite struct MercureRightsTests {
    @Test func `publishing needs a grant for every topic`() {
        #expect(MercureRights(publish: nil, subscribe: ["*"]).firstNotPublishable(of: ["a"]) == "a")
        #expect(MercureRights(publish: [], subscribe: []).firstNotPublishable(of: ["a"]) == "a")
        let rights = MercureRights(publish: ["a", "b/{id}"], subscribe: [])
        #expect(rights.firstNotPublishable(of: ["a", "b/1"]) == nil)
        #expect(rights.firstNotPublishable(of: ["a", "c", "d"]) == "c")
        #expect(MercureRights(publish: ["*"], subscribe: []).firstNotPublishable(of: ["a", "c"]) == nil)
    }

    @Test func `a private update is received by who is granted any of its topics`() {
        let rights = MercureRights(publish: nil, subscribe: ["alternate/{id}"])
        let topics: [Topic] = ["a", "alternate/1"]
        let selectors = [TopicSelector("a")]
        #expect(rights.mayReceive(topics, isPrivate: true, subscribedTo: selectors))
        #expect(!rights.mayReceive(["a"], isPrivate: true, subscribedTo: selectors))
        #expect(rights.mayReceive(["a"], isPrivate: false, subscribedTo: selectors))
        #expect(!rights.mayReceive(["alternate/1"], isPrivate: true, subscribedTo: selectors))
        #expect(!MercureRights.anonymous.mayReceive(topics, isPrivate: true, subscribedTo: [.every]))
        #expect(MercureRights.anonymous.mayReceive(topics, isPrivate: false, subscribedTo: [.every]))
    }
}
