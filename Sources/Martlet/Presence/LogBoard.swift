// SPDX-License-Identifier: Apache-2.0

import MartletSupport
import Synchronization

/// The board of the nodes that share a log, made of notices that travel with its events (``NoticeLog``).
///
/// Every node keeps what the others have posted. A node that begins says hello, and the others post again. What is put under
/// a name stays on the node where it was put: another one that takes it asks that node.
///
/// What another node has done is seen once this node has read its notice. Who can write to the log can forge notices, so it is
/// as trusted as a node. All methods may be called from anywhere. They throw what the log throws, and ``/Martlet/MartletError``:
/// `storageFailed` if there is no answer in time, `overloaded` above a bound.
public final class LogBoard: NodeBoard, OneTimeStore, NodeChannel {
    /// The most bytes of a posting, where nothing else is set. Each is written to the log.
    public static let defaultMaximumBytes = 4 * 1024 * 1024
    /// How long another node may take to answer.
    public static let answerTime = Duration.seconds(2)
    /// How long a board that begins waits for the postings of others.
    public static let settleTime = Duration.milliseconds(250)
    /// The most things that may be put and not taken.
    public static let mostThings = 20_000
    /// The most questions to other nodes in a second, each of which is two notices.
    public static let mostQuestions = 200

    /// The most that others have said and nobody has heard. The oldest is dropped.
    public static let mostSaid = 10_000

    /// A posting is sent in parts of this size: brokers bound the size of a message.
    static let partBytes = 96 * 1024
    /// How long hellos are collected, so that nodes that start together are answered together.
    private static let helloTime = Duration.milliseconds(20)

    public let maximumBytes: Int
    private let log: any NoticeLog
    private let name: String
    private let book: Mutex<NoticeBook>
    private let heard = Signal()

    public var place: String { book.withLock { $0.place } }

    /// - Parameters:
    ///   - log: The log that the nodes share.
    ///   - name: The name of the board. Boards of different names know nothing of each other.
    ///   - maximumBytes: The most bytes of a posting.
    public init(on log: any NoticeLog, name: String, maximumBytes: Int = LogBoard.defaultMaximumBytes) {
        self.log = log
        self.name = name
        self.maximumBytes = maximumBytes
        book = Mutex(NoticeBook(maximumBytes: maximumBytes))
        log.notices.add { [weak self] in self?.receive($0) }
    }

    // MARK: Notices

    private func send(_ words: Notice.Words) async throws {
        try await log.send(notice: Notice(board: name, from: place, words: words).text)
    }

    private func receive(_ text: String) {
        // Notices of other versions, or not of nodes.
        guard let notice = Notice(text), notice.board.isExactly(name) else { return }
        let answer = book.withLock { $0.take(notice, now: .now) }
        heard.fire()
        switch answer {
        case .none: break
        case .send(let words): Task { try? await send(words) }
        case .postAgain:
            Task {
                try? await Task.sleep(for: Self.helloTime)
                for words in book.withLock({ $0.postingsAgain(now: .now) }) { try await send(words) }
            }
        }
    }

    /// Returns once the board has heard of the other nodes.
    private func begin() async throws {
        guard !book.withLock({ $0.hasBegun }) else { return }
        _ = try await log.open()
        try await send(.hello)
        try await answered { $0.hasHeardItself ? () : nil }
        try await Task.sleep(for: Self.settleTime)
        book.withLock { $0.hasBegun = true }
    }

    /// Waits until the book has an answer.
    private func answered<Answer: Sendable>(
        _ answer: @escaping @Sendable (inout NoticeBook) -> Answer?
    ) async throws -> Answer {
        let error = MartletError(.storageFailed, "The other nodes do not answer in time. Try again later.")
        return try await withTimeout(Self.answerTime, throwing: error) { [self] in
            try await heard.wait { book.withLock { answer(&$0) } }
        }
    }

    // MARK: The board

    public func post(_ posting: NodePosting, as node: NodeName, for expiry: Duration) async throws {
        try check(posting)
        try await begin()
        for words in book.withLock({ $0.post(posting, as: node, for: expiry, now: .now) }) { try await send(words) }
    }

    public func renew(_ node: NodeName, for expiry: Duration) async throws -> Bool {
        try await begin()
        guard let words = book.withLock({ $0.renew(node, for: expiry, now: .now) }) else { return false }
        try await send(words)
        return true
    }

    public func remove(_ node: NodeName) async throws {
        try await begin()
        guard let words = book.withLock({ $0.remove(node, now: .now) }) else { return }
        try await send(words)
    }

    public func versions() async throws -> [NodeName: UInt64] {
        try await begin()
        return book.withLock { $0.versions(now: .now) }
    }

    public func posting(of node: NodeName) async throws -> NodePosting? {
        try await begin()
        return book.withLock { $0.posting(of: node, now: .now) }
    }

    // MARK: What others say

    public var mostBytesSaid: Int { Self.partBytes }

    public func say(_ bytes: [UInt8]) async throws {
        guard bytes.count <= mostBytesSaid else {
            throw MartletError(.tooLarge, "\(bytes.count) bytes are to be said. Say at most \(mostBytesSaid) at once.")
        }
        try await begin()
        try await send(.say(bytes))
    }

    public func hear(within time: Duration) async throws -> [[UInt8]] {
        try await begin()
        let seen = heard.version
        let said = book.withLock { $0.takeSaid() }
        guard said.isEmpty else { return said }
        try? await withTimeout(time, throwing: CancellationError()) { [heard] in try await heard.wait(past: seen) }
        try Task.checkCancellation()
        return book.withLock { $0.takeSaid() }
    }

    // MARK: One-time things

    public func put(_ bytes: [UInt8], as name: String, for expiry: Duration) async throws {
        guard book.withLock({ $0.put(bytes, as: name, until: .now + expiry, now: .now) }) else {
            throw MartletError(.overloaded, "Too much was put and not taken yet. Try again later.")
        }
    }

    public func take(_ name: String) async throws -> [UInt8]? {
        try await begin()
        let request = NodeName().text
        switch book.withLock({ $0.take(name, asking: request, now: .now) }) {
        case .here(let bytes): return bytes
        case .tooMany: throw MartletError(.overloaded, "Too many questions to other nodes. Try again.")
        case .there(let place):
            defer { book.withLock { $0.answers[request] = nil } }
            try await send(.take(name: name, at: place, request: request))
            return try await answered { $0.answers[request] ?? nil }.bytes
        }
    }
}
