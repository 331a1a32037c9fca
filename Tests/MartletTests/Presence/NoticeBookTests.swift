// SPDX-License-Identifier: Apache-2.0

import TestSupport
import Testing

@testable import Martlet

@Suite struct NoticeBookTests {
    private let now = ContinuousClock.now
    private let long = Duration.seconds(3600)
    private let node = NodeName()

    /// A board that has begun, and knows nothing of others.
    private func book(maximumBytes: Int = 1_000_000) -> NoticeBook {
        var book = NoticeBook(maximumBytes: maximumBytes)
        say(.hello, from: book.place, to: &book)
        return book
    }

    @discardableResult
    private func say(
        _ words: Notice.Words, from place: String = "other", to book: inout NoticeBook, at time: Duration = .zero
    ) -> NoticeBook.Reaction {
        book.take(Notice(board: "test", from: place, words: words), now: now + time)
    }

    private func post(_ change: UInt64, _ bytes: [UInt8] = [1], part: Int = 0, of count: Int = 1) -> Notice.Words {
        .post(node, change: change, version: change, milliseconds: 10_000, part: part, of: count, bytes: bytes)
    }

    @Test(
        "A notice is a text and back",
        arguments: [
            .hello,
            .post(NodeName(text: "a b"), change: 1, version: .max, milliseconds: -1, part: 0, of: 2, bytes: [0, 255]),
            .post(NodeName(), change: 1, version: 0, milliseconds: .max, part: 0, of: 1, bytes: []),
            .renew(NodeName(), change: 2, milliseconds: 1), .remove(NodeName(), change: 3),
            .say([]), .say([1]), .take(name: "p.q", at: "p", request: "r"), .give(request: "r", bytes: nil),
            .give(request: "r", bytes: []),
            .give(request: "", bytes: [1, 2, 3, 4]),
        ] as [Notice.Words])
    func text(words: Notice.Words) throws {
        let notice = Notice(board: "a board", from: "\u{E9}", words: words)
        #expect(Notice(notice.text) == notice)
        #expect(Notice(notice.text + " YQ YQ") == nil && Notice(" " + notice.text) == nil)
    }

    @Test(
        "What is no notice is not taken for one", arguments: ["", " ", "a b", "YQ YQ hello x", "YQ YQ renew YQ 1", "é"])
    func malformed(text: String) { #expect(Notice(text) == nil) }

    @Test("A posting is there once all of its parts are, in any order, and before that the last one is")
    func parts() {
        var book = book()
        say(post(1, [9]), to: &book)
        for part in [2, 0, 0] { say(post(2, [UInt8(part)], part: part, of: 3), to: &book) }
        #expect(book.posting(of: node, now: now) == NodePosting(version: 1, bytes: [9]))
        say(post(2, [1], part: 1, of: 3), to: &book)
        #expect(book.posting(of: node, now: now) == NodePosting(version: 2, bytes: [0, 1, 2]))
        // Late, and twice.
        for change in [1, 2] as [UInt64] { say(post(change, [7]), to: &book) }
        #expect(book.versions(now: now) == [node: 2])
        say(.remove(node, change: 2), to: &book)
        #expect(book.versions(now: now) == [node: 2], "that was before")
        say(.remove(node, change: 3), to: &book)
        say(post(2), to: &book)
        #expect(book.versions(now: now).isEmpty && book.posting(of: node, now: now) == nil)
    }

    @Test("A large posting is sent in parts, and no more of one is kept than a board takes")
    func large() {
        let bytes = (0..<3 * LogBoard.partBytes).map { UInt8(truncatingIfNeeded: $0 / 1000) }
        var (sender, reader, small) = (book(), book(), book(maximumBytes: LogBoard.partBytes))
        let posting = NodePosting(version: 4, bytes: bytes)
        let words = sender.post(posting, as: node, for: long, now: now)
        #expect(words.count == 3)
        for words in words {
            say(words, to: &reader)
            say(words, to: &small)
        }
        #expect(reader.posting(of: node, now: now) == posting)
        #expect(small.versions(now: now).isEmpty)
    }

    @Test("Postings expire unless they are renewed, on every board")
    func expiry() {
        var (sender, reader) = (book(), book())
        let posting = NodePosting(version: 1, bytes: [])
        for words in sender.post(posting, as: node, for: .seconds(10), now: now) { say(words, to: &reader) }
        #expect(reader.posting(of: node, now: now + .seconds(9)) == posting)
        let renewal = sender.renew(node, for: .seconds(10), now: now + .seconds(9))
        say(renewal ?? .hello, to: &reader, at: .seconds(9))
        for book in [sender, reader] { #expect(book.posting(of: node, now: now + .seconds(18)) == posting) }
        for book in [sender, reader] { #expect(book.posting(of: node, now: now + .seconds(19)) == nil) }
        #expect(sender.renew(node, for: long, now: now + .seconds(19)) == nil)
    }

    @Test("What was said before a board has begun is nothing to it; then it is told again")
    func beginning() {
        var (old, new) = (book(), NoticeBook(maximumBytes: 1000))
        let posting = NodePosting(version: 1, bytes: [1])
        for words in old.post(posting, as: node, for: long, now: now) { say(words, from: old.place, to: &new) }
        #expect(new.versions(now: now).isEmpty)
        say(.hello, from: new.place, to: &new)
        #expect(new.hasHeardItself)
        guard case .postAgain = say(.hello, from: new.place, to: &old) else { return #expect(Bool(false), "no answer") }
        guard case .none = say(.hello, from: "third", to: &old) else { return #expect(Bool(false), "two answers") }
        for words in old.postingsAgain(now: now) { say(words, from: old.place, to: &new) }
        #expect(new.posting(of: node, now: now) == posting)
        guard case .postAgain = say(.hello, from: "fourth", to: &old) else { return #expect(Bool(false), "no answer") }
    }

    @Test("A board that has missed a posting asks for it, and not too often")
    func missed() {
        var book = book()
        let renewal = Notice.Words.renew(node, change: 2, milliseconds: 1000)
        guard case .send(.hello) = say(renewal, to: &book) else { return #expect(Bool(false), "it does not ask") }
        guard case .none = say(renewal, to: &book, at: .seconds(4)) else { return #expect(Bool(false), "too often") }
        guard case .send(.hello) = say(renewal, to: &book, at: .seconds(5)) else {
            return #expect(Bool(false), "it does not ask again")
        }
    }

    @Test("What was put on a board is taken once, on whichever node, and not when it is too old")
    func things() {
        var (here, there) = (book(), book())
        say(.hello, from: here.place, to: &there)
        for name in ["1", "2", "3"] {
            let isPut = here.put([7], as: "\(here.place).\(name)", until: now + .seconds(10), now: now)
            #expect(isPut)
        }
        guard case .there(here.place) = there.take("\(here.place).1", asking: "r", now: now),
            case .send(let answer) = say(
                .take(name: "\(here.place).1", at: here.place, request: "r"), from: there.place, to: &here)
        else { return #expect(Bool(false), "nobody is asked") }
        #expect(answer == .give(request: "r", bytes: [7]))
        #expect(there.answers["r"].map { $0 == nil } == true)
        say(answer, from: here.place, to: &there)
        #expect(there.answers["r"]??.bytes == [7])
        #expect(isHere(here.take("\(here.place).1", asking: "", now: now), nil), "it was taken")
        #expect(isHere(here.take("\(here.place).2", asking: "", now: now), [7]))
        #expect(isHere(here.take("\(here.place).3", asking: "", now: now + .seconds(10)), nil), "it is too old")
        // Nobody is asked for what no node has put.
        for name in ["nobody.1", "1", ".", ""] { #expect(isHere(there.take(name, asking: "", now: now), nil)) }
        // Another node was asked.
        guard case .none = say(.take(name: "a", at: "else", request: "s"), to: &here) else {
            return #expect(Bool(false), "it answers for another")
        }
    }

    @Test("A board that has taken its posting down, or renews it no more, is asked nothing")
    func gone() {
        for isRemoved in [true, false] {
            var book = book()
            say(post(1), to: &book)
            guard case .there("other") = book.take("other.1", asking: "1", now: now + .seconds(9)) else {
                return #expect(Bool(false), "it is not asked")
            }
            if isRemoved { say(.remove(node, change: 2), to: &book) }
            let later = isRemoved ? now : now + .seconds(10)
            #expect(isHere(book.take("other.1", asking: "2", now: later), nil))
        }
    }

    private func isHere(_ taking: NoticeBook.Taking, _ bytes: [UInt8]?) -> Bool {
        if case .here(bytes) = taking { true } else { false }
    }

    @Test("What others say is heard once and in its order, the newest of it")
    func saying() {
        var book = book()
        say(.say([9]), from: book.place, to: &book)
        for byte in [1, 2] as [UInt8] { say(.say([byte]), to: &book) }
        let heard = [book.takeSaid(), book.takeSaid()]
        #expect(heard == [[[1], [2]], []])
        for number in 0...LogBoard.mostSaid { say(.say([UInt8(truncatingIfNeeded: number)]), to: &book) }
        let newest = book.takeSaid()
        #expect(newest.count == LogBoard.mostSaid && newest.first == [1])
    }

    @Test("There is a most of what is put, asked and known")
    func bounds() {
        var book = book()
        for number in 0..<LogBoard.mostThings {
            let isPut = book.put([], as: "\(number)", until: now + .seconds(number == 0 ? 1 : 10), now: now)
            #expect(isPut)
        }
        let refused = !book.put([], as: "more", until: now + .seconds(10), now: now)
        #expect(refused)
        let replaced = book.put([1], as: "1", until: now + .seconds(10), now: now)
        #expect(replaced)
        let afterOneIsOld = book.put([], as: "more", until: now + .seconds(10), now: now + .seconds(1))
        #expect(afterOneIsOld)

        say(.hello, to: &book)
        for number in 0..<LogBoard.mostQuestions {
            guard case .there = book.take("other.1", asking: "\(number)", now: now) else {
                return #expect(Bool(false), "question \(number) is refused")
            }
        }
        guard case .tooMany = book.take("other.1", asking: "more", now: now + .milliseconds(999)) else {
            return #expect(Bool(false), "there is no most")
        }
        guard case .there = book.take("other.1", asking: "more", now: now + .seconds(1)) else {
            return #expect(Bool(false), "the next second has questions of its own")
        }

        for number in 0...NoticeBook.mostNodes {
            say(
                .post(
                    NodeName(text: "\(number)"), change: 1, version: 1, milliseconds: 1000, part: 0, of: 1, bytes: []),
                from: "place \(number)", to: &book)
        }
        #expect(book.versions(now: now).count == NoticeBook.mostNodes)
    }
}
