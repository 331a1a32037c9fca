// SPDX-License-Identifier: Apache-2.0

import HTTPTypes
import Martlet
import MartletHTTP
import MartletSupport
import TestSupport
import Testing

@testable import MartletMercure

/// Whatever comes in, the rules refuse it with an error of theirs, or what they make of it holds what they promise.
@Suite struct ProtocolFuzzTests {
    @Test("Any form is refused properly or published within the limits")
    func anyFormIsRefusedProperly() async {
        let limits = Limits()
        var input = FuzzInput()
        while await input.next() {
            do {
                let fields = try FormFields(input.bytes, maximumCount: 20)
                guard fields.all.count <= 20 else { return input.fail("too many fields") }
                let event = try PublishForm.event(of: fields, limits: limits)
                try limits.check(event)
                guard Set(event.topics).count == event.topics.count else { return input.fail("a topic twice") }
                let again = try PublishForm.event(
                    of: try FormFields(Self.form(of: event).utf8), limits: limits)
                guard again == event else { return input.fail("not the same when it is sent again") }
            } catch let problem as MercureProblem {
                guard [400, 403, 413].contains(problem.statusCode) else { return input.fail("\(problem.statusCode)") }
            } catch let problem as Problem {
                guard problem.status == .badRequest else { return input.fail("\(problem.status)") }
            } catch {
                return input.fail("\(error)")
            }
        }
    }

    private static func form(of event: Event) -> String {
        var fields = event.topics.map { ("topic", $0.name) } + [("data", event.data)]
        if event.isPrivate { fields.append(("private", "")) }
        for (name, value) in [("id", event.id), ("type", event.type), ("retry", event.retry.map(String.init))] {
            if let value { fields.append((name, value)) }
        }
        return fields.map { "\($0)=\($1.percentEncoded)" }.joined(separator: "&")
    }

    @Test("Any query is refused properly or names a bounded number of topics, each once")
    func anyQueryIsRefusedProperly() async {
        let limits = Limits()
        var input = FuzzInput()
        while await input.next() {
            do {
                var headers: HTTPFields = [:]
                headers[.lastEventID] = input.choose([nil, "", "1"])
                let request = HubRequest(target: "/?" + input.text, headers: headers)
                let query = try SubscribeQuery(request, limits: limits)
                let selection = Selection(selectors: Set(query.selectors))
                guard selection.selectors.count == query.selectors.count else { return input.fail("a topic twice") }
                try limits.check(selection)
                guard try request.lastEventID?.id.isEmpty != true else { return input.fail("an empty id") }
            } catch let problem as MercureProblem {
                guard problem.statusCode == 400 else { return input.fail("\(problem.statusCode)") }
            } catch let problem as Problem {
                guard problem.status == .badRequest else { return input.fail("\(problem.status)") }
            } catch {
                return input.fail("\(error)")
            }
        }
    }

    @Test("Any path names no subscription, or has one spelling that names the same")
    func anyPathNamesNoSubscription() async {
        var input = FuzzInput()
        while await input.next() {
            let text = SubscriptionPath.root + input.choose(["", "/"]) + input.text
            guard let path = SubscriptionPath(text) else { continue }
            guard SubscriptionPath(path.text) == path, ReservedNamespace.contains(path.text) else {
                return input.fail("not the same when it is read again")
            }
            let document = SubscriptionDocument(selector: input.text, subscriber: "urn:uuid:1", isActive: true)
            guard let topic = try? Topic(document.path.text) else { return input.fail("not a topic") }
            guard ReservedNamespace.contains(topic.name) else { return input.fail("a subscription can be forged") }
        }
    }

    @Test("Any bytes are no list of connections, or one that is the same when it is written again")
    func anyBytesAreNoList() async throws {
        var input = FuzzInput()
        while await input.next() {
            let bytes = [1] + input.choose([[], [1, 0x75, 0, 0], [1, 0x75, 1, 1, 0x61, 1, 1]]) + Array(input.bytes)
            guard let entries = try? ConnectionList.decode(bytes) else { continue }
            let (list, omitted) = ConnectionList.encode(entries, atMost: .max)
            guard omitted == 0, try ConnectionList.decode(list) == entries else { return input.fail("not the same") }
        }
    }

    @Test("Whether a topic is the hub's does not depend on how its letters are written")
    func whetherATopic() async {
        let everySubscription = TopicSelector(SubscriptionPath.root + "{/topic}{/subscriber}")
        var input = FuzzInput()
        while await input.next() {
            let prefixes = ["/", "/.well-known/", "/.well-known/mercure", SubscriptionPath.root + "/"]
            let topic = input.choose(prefixes) + input.text
            let isReserved = ReservedNamespace.contains(topic)
            if !isReserved, let topic = try? Topic(topic), everySubscription.matches(topic) {
                return input.fail("a subscription can be forged")
            }
            let letters = topic.utf8.indices.filter { (0x61...0x7A).contains(topic.utf8[$0]) }
            guard !letters.isEmpty else { continue }
            let spelled = Self.encode(input.choose(letters), of: topic)
            if let spelled, ReservedNamespace.contains(spelled) != isReserved {
                return input.fail("\(isReserved), but not so for \(spelled)")
            }
            guard !isReserved, !topic.hasPrefix("//"), !topic.hasPrefix("/\\") else { continue }
            guard !ReservedNamespace.contains("/a/.." + topic) else { return input.fail("reserved below /a/..") }
        }
    }

    /// The text with one byte percent-encoded; `nil` where the byte is one of a triplet.
    private static func encode(_ index: String.Index, of text: String) -> String? {
        guard !text[..<index].utf8.suffix(2).contains(UInt8(ascii: "%")) else { return nil }
        return "\(text[..<index])%\(String(text.utf8[index], radix: 16))\(text[text.utf8.index(after: index)...])"
    }

    @Test("Any text is a selector, which selects the topic of its name")
    func anyTextIsASelector() async {
        var input = FuzzInput()
        var topics: [Topic] = ["a", "/.well-known/mercure/subscriptions/a/urn%3Auuid%3A1"]
        while await input.next() {
            guard input.text.utf8.count <= Limits().topicBytes else { continue }
            let selector = TopicSelector(input.text)
            guard selector == TopicSelector(input.text) else { return input.fail("not equal to itself") }
            guard let topic = try? Topic(input.text) else { continue }
            guard selector.matches(topic) else { return input.fail("does not select itself") }
            for other in topics {
                let matches = selector.matches(other)
                if let exact = selector.exactTopic, matches != (exact == other) {
                    return input.fail("matches \(other)")
                }
                if selector.isWildcard, !matches { return input.fail("does not match \(other)") }
            }
            topics[input.number % 2] = topic
        }
    }

    /// What has a cost that grows with the square of the size does not come to an end with these.
    @Test(
        "A large input of one pattern is read to its end", .timeLimit(.minutes(10)),
        arguments: [
            "%", "%2", "%41", "+", "=", "&", "a=&", "topic=a&", "topic=%2e%2e/&", "/", "/..", "/a", "/%2e%2e", "\\",
            "{a}",
            "{", "}", "{/a*}", "{?a,b*}", " ", "\0", "\u{E9}", "?", ":", "//",
        ])
    func largeInputOfOnePattern(pattern: String) throws {
        let text = String(repeating: pattern, count: 128 * 1024 / pattern.utf8.count)
        for prefix in ["", "topic=", "topic=a&data="] {
            _ = try? SubscribeQuery(HubRequest(target: "/?" + prefix + text))
            guard let fields = try? FormFields((prefix + text).utf8, maximumCount: 1100) else { continue }
            _ = try? PublishForm.event(of: fields)
        }
        for prefix in ["", "/.well-known/mercure", "https://h/.well-known/mercure"] {
            _ = ReservedNamespace.contains(prefix + text)
        }
        _ = SubscriptionPath(SubscriptionPath.root + "/" + text)
        // The longest that the hub takes.
        let selector = TopicSelector(String(text.prefix(Limits().topicBytes / pattern.utf8.count * pattern.count)))
        let topic = try Topic(String(repeating: "a", count: Limits().topicBytes))
        _ = selector.matches(topic)
    }
}
