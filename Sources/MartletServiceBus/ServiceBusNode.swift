// SPDX-License-Identifier: Apache-2.0

#if ServiceBus
import Logging
import Martlet
import MartletSupport
import Synchronization

/// What the threads of a ``ServiceBusLog`` share.
final class ServiceBusNode: Sendable {
    let configuration: ServiceBusLogConfiguration
    let store: any EmbeddedLog
    let logger: Logger
    /// This instance of the log.
    let publisher = PublisherID.random()
    let reachability: Reachability
    let order: Mutex<LocalOrder>
    /// Fires when messages were stored.
    let stored = Signal()
    let isClosed = Atomic(false)
    let skipped = Atomic(0)
    /// Since when the node lacks messages that the broker has; `nil` if it has all, as far as it knows.
    let behindSince = Mutex<ContinuousClock.Instant?>(.now)
    /// Why the subscription cannot be followed until somebody does something.
    let fault = Mutex<MartletError?>(nil)
    private let loading = Mutex<Task<Void, any Error>?>(nil)
    /// The newest messages of other programs.
    let deliveries = Mutex(RecentDeliveries())

    init(_ configuration: ServiceBusLogConfiguration, store: any EmbeddedLog, logger: Logger) {
        self.configuration = configuration
        self.store = store
        self.logger = logger
        reachability = Reachability(of: configuration.name, logger: logger)
        order = Mutex(LocalOrder(end: 1, nothing: .nothing(of: configuration.topic)))
    }

    var format: MessageFormat {
        MessageFormat(
            encoding: configuration.encoding, topicName: configuration.topic, limits: configuration.limits)
    }

    /// Opens the store, and reads what the messages in it are called. Calls at the same time wait for the same.
    func loadOnce() async throws {
        let task = loading.withLock { loading in
            let task = loading ?? Task { try await load() }
            loading = task
            return task
        }
        do {
            try await task.value
        } catch {
            loading.withLock { $0 = nil }
            throw error
        }
    }

    private func load() async throws {
        _ = try await store.open()
        let first = store.offsets.lowerBound
        order.withLock { $0 = LocalOrder(end: first, nothing: .nothing(of: configuration.topic)) }
        try await store.forEachPublish { [self] first, count, text in
            guard let message = StoredMessage(text) else { return }
            remember(message, at: first, count: count)
        }
    }

    /// A message is in the store.
    func remember(_ message: StoredMessage, at first: UInt64, count: Int) {
        order.withLock {
            $0.append(.init(first: first, count: count, name: message.name, key: message.key.map { KeyHash($0) }))
        }
        deliveries.withLock { $0.insert(message) }
    }

    /// The offsets of the events in history that were published with a key.
    func offsets(ofKey key: String) -> Range<UInt64>? {
        let oldest = store.offsets.lowerBound
        return order.withLock { order in
            order.trim(to: oldest)
            return order.offsets(of: KeyHash(key))
        }
    }

    /// Whether a text is a position, rather than an id that a publisher chose.
    func isPosition(_ id: String) -> Bool {
        order.withLock { $0.isPosition(id, local: store.offset(of:)) }
            || NumberedName(Substring(id.utf8.prefix { $0 != UInt8(ascii: ".") && $0 != UInt8(ascii: "_") }))?.publisher
                == publisher
    }

    // MARK: Connecting

    /// Connects, and shows a token if the broker wants one.
    func connect(as role: String, within time: Duration) throws -> (connection: AMQPConnection, tokens: TokenRenewal?) {
        let connection = try AMQPConnection(to: server(role), within: time) { [self] in
            isClosed.load(ordering: .acquiring)
        }
        guard case .sharedAccessKey(let name, let key) = configuration.credentials else { return (connection, nil) }
        let tokens = try TokenRenewal(
            SharedAccessKey(name: name, key: key), for: "sb://\(configuration.host)/\(configuration.topic)",
            lifetime: configuration.tokenLifetime, on: connection, within: time)
        return (connection, tokens)
    }

    private func server(_ role: String) -> AMQPServer {
        var login: (String, String)?
        if case .plain(let user, let password) = configuration.credentials { login = (user, password) }
        return AMQPServer(
            host: configuration.host, port: configuration.port, isEncrypted: configuration.isEncrypted,
            authorities: configuration.authorities, login: login,
            container: "martlet-\(publisher.text)-\(role)",
            idleTimeout: UInt32(clamping: configuration.idleTimeout.wholeMilliseconds))
    }

    // MARK: Places

    /// The place of a reader that has everything up to an offset.
    func position(at offset: UInt64) -> Position { order.withLock { position(at: offset, $0) } }

    func position(at offset: UInt64, _ order: LocalOrder) -> Position {
        order.place(at: offset, local: store.position(at:)).position
    }

    /// What a reader at a position has to read; `nil` if the node does not know the position.
    func course(from position: Position) -> Course? {
        BusPlace(position.text).flatMap { place in order.withLock { $0.course(from: place, local: store.offset(of:)) } }
    }
}

/// The newest messages of other programs that were stored, to tell those that the broker delivers again. A value.
struct RecentDeliveries: Sendable {
    private struct ID: Hashable {
        var sequence: Int64
        var mark: Int64
    }

    private var known: Set<ID> = []
    private var order: [ID] = []
    private var next = 0
    /// The greatest sequence number.
    private(set) var lastSequence: Int64?

    /// The broker delivers again what was not settled, which is less.
    static let most = 4096

    mutating func insert(_ message: StoredMessage) {
        guard let sequence = message.sequence else { return }
        lastSequence = max(lastSequence ?? sequence, sequence)
        guard let mark = message.mark else { return }
        let id = ID(sequence: sequence, mark: mark)
        guard known.insert(id).inserted else { return }
        if order.count < Self.most {
            order.append(id)
        } else {
            known.remove(order[next])
            order[next] = id
            next = (next + 1) % Self.most
        }
    }

    func contains(_ message: StoredMessage) -> Bool {
        guard let sequence = message.sequence, let mark = message.mark else { return false }
        return known.contains(ID(sequence: sequence, mark: mark))
    }
}
#endif
