// SPDX-License-Identifier: Apache-2.0

import Synchronization

/// Counts what each client has open and publishes, against its ``ClientLimits``.
///
/// There is an entry only for a client that has something open, or whose bucket is not full; the former are as many as there
/// are connections at most, the latter are bounded by ``ClientLimits/rememberedClients``. All methods may be called from any
/// thread. Each takes a lock for a few look-ups, one of several, by client.
package final class ClientTable: Sendable {
    private struct Open {
        var connections: Int32 = 0
        var streams: Int32 = 0
    }

    private struct Entries {
        var open: [ClientKey: Open] = [:]
        var buckets: BucketTable
    }

    private final class Stripe: Sendable {
        let entries: Mutex<Entries>

        init(capacity: Int) { entries = Mutex(Entries(buckets: BucketTable(capacity: capacity))) }
    }

    /// The two kinds of things that are counted while they are open.
    fileprivate enum Kind {
        case connection
        case stream
    }

    /// How many locks there are, unless few clients are remembered.
    private static let stripeCount = 16
    /// How often a refusal is logged.
    private static let logPause = Duration.seconds(1)

    private let current: Mutex<ClientLimits>
    /// Whether there is any limit. Without one no lock is taken.
    private let isLimited: Atomic<Bool>
    private let stripes: [Stripe]
    private let lastLog = Mutex<ContinuousClock.Instant?>(nil)

    package init(_ limits: ClientLimits) {
        current = Mutex(limits)
        isLimited = Atomic(limits.isLimited)
        let count = limits.rememberedClients < 64 * Self.stripeCount ? 1 : Self.stripeCount
        stripes = (0..<count).map { _ in Stripe(capacity: limits.rememberedClients / count) }
    }

    package var limits: ClientLimits {
        isLimited.load(ordering: .relaxed) ? current.withLock { $0 } : ClientLimits()
    }

    /// Uses other limits from now on. Open connections and streams stay. Those that were opened without a limit are not counted.
    /// ``ClientLimits/rememberedClients`` stays as it is.
    package func use(_ limits: ClientLimits) {
        current.withLock { $0 = limits }
        isLimited.store(limits.isLimited, ordering: .relaxed)
    }

    private func withEntries<Value>(of key: ClientKey, _ body: (inout Entries) -> Value) -> Value {
        let stripe = stripes[Int(UInt(bitPattern: key.hashValue) % UInt(stripes.count))]
        return stripe.entries.withLock { entries in body(&entries) }
    }

    /// How many clients have an entry.
    package func count(now: ContinuousClock.Instant = .now) -> Int {
        stripes.reduce(0) { sum, stripe in
            sum
                + stripe.entries.withLock { entries in
                    entries.buckets.sweep(now)
                    return entries.open.count + entries.buckets.count
                }
        }
    }

    /// Whether a refusal is to be logged: not more than one in a second is.
    package func isTimeToLog(now: ContinuousClock.Instant = .now) -> Bool {
        lastLog.withLock { last in
            if let last, now - last < Self.logPause { return false }
            last = now
            return true
        }
    }
}

// MARK: - What is open

extension ClientTable {
    /// Whether connections are counted.
    package var countsConnections: Bool { limits.connectionsPerAddress != nil }

    /// Counts a connection for as long as the place is kept; `nil`: there is no limit.
    package func openConnection(of client: ClientIdentity) throws(ClientRefusal) -> ClientPlace? {
        guard let most = limits.connectionsPerAddress, let address = client.address else { return nil }
        guard enter(address, .connection, most) else {
            throw ClientRefusal(limit: .connectionsPerAddress, most: most)
        }
        return ClientPlace(self, .connection, address)
    }

    /// Counts a stream for as long as the places are kept.
    package func openStream(of client: ClientIdentity) throws(ClientRefusal) -> [ClientPlace] {
        var places: [ClientPlace] = []
        let limits = limits
        if let most = limits.streamsPerPrincipal, let key = client.principal {
            guard enter(key, .stream, most) else { throw ClientRefusal(limit: .streamsPerPrincipal, most: most) }
            places.append(ClientPlace(self, .stream, key))
        }
        if let most = limits.streamsPerAddress, let key = client.address {
            // The place of the principal is given back with the array.
            guard enter(key, .stream, most) else { throw ClientRefusal(limit: .streamsPerAddress, most: most) }
            places.append(ClientPlace(self, .stream, key))
        }
        return places
    }

    private func enter(_ key: ClientKey, _ kind: Kind, _ most: Int) -> Bool {
        withEntries(of: key) { entries in
            var open = entries.open[key] ?? Open()
            switch kind {
            case .connection:
                guard open.connections < most else { return false }
                open.connections += 1
            case .stream:
                guard open.streams < most else { return false }
                open.streams += 1
            }
            entries.open[key] = open
            return true
        }
    }

    fileprivate func leave(_ key: ClientKey, _ kind: Kind) {
        withEntries(of: key) { entries in
            guard var open = entries.open[key] else { return }
            switch kind {
            case .connection: open.connections -= 1
            case .stream: open.streams -= 1
            }
            entries.open[key] = open.connections == 0 && open.streams == 0 ? nil : open
        }
    }
}

/// A place among the connections or the streams of a client. It is given back when it is released.
package final class ClientPlace: Sendable {
    private let table: ClientTable
    private let kind: ClientTable.Kind
    private let key: ClientKey

    fileprivate init(_ table: ClientTable, _ kind: ClientTable.Kind, _ key: ClientKey) {
        self.table = table
        self.kind = kind
        self.key = key
    }

    deinit { table.leave(key, kind) }
}

// MARK: - Publishing

extension ClientTable {
    /// The most events that one publish may have without going beyond a burst; `nil`: there is no limit.
    package var smallestBurst: Int? {
        let limits = limits
        return [limits.publishRatePerPrincipal, limits.publishRatePerAddress].compactMap { $0?.burst }.min()
    }

    /// Takes the tokens for all events of a publish, or none.
    package func spend(
        on events: [Event], by client: ClientIdentity, now: ContinuousClock.Instant = .now
    ) throws(ClientRefusal) {
        let limits = limits
        guard limits.limitsPublishing else { return }
        let cost = ClientCost(events)
        let (principal, address) = keys(of: client, limits)
        try spend(cost, principal, limits.principalRates, now)
        do { try spend(cost, address, limits.addressRates, now) } catch {
            giveBack(cost, principal, limits.principalRates, now)
            throw error
        }
    }

    /// Gives the tokens back that were taken for events which were not published.
    package func giveBack(for events: [Event], to client: ClientIdentity, now: ContinuousClock.Instant = .now) {
        let limits = limits
        guard limits.limitsPublishing else { return }
        let cost = ClientCost(events)
        let (principal, address) = keys(of: client, limits)
        giveBack(cost, principal, limits.principalRates, now)
        giveBack(cost, address, limits.addressRates, now)
    }

    /// `nil` where no rate is limited.
    private func keys(
        of client: ClientIdentity, _ limits: ClientLimits
    ) -> (principal: ClientKey?, address: ClientKey?) {
        let hasPrincipal = limits.publishRatePerPrincipal != nil || limits.publishBytesPerPrincipal != nil
        let hasAddress = limits.publishRatePerAddress != nil || limits.publishBytesPerAddress != nil
        return (hasPrincipal ? client.principal : nil, hasAddress ? client.address : nil)
    }

    private func spend(
        _ cost: ClientCost, _ key: ClientKey?, _ rates: ClientLimits.Rates, _ now: ContinuousClock.Instant
    ) throws(ClientRefusal) {
        guard let key else { return }
        let refusal: ClientRefusal? = withEntries(of: key) { entries in
            entries.buckets.withBuckets(of: key, now: now) { buckets in
                let before = buckets
                if let rate = rates.events, let wait = buckets.events.take(cost.events, rate, now: now) {
                    return ClientRefusal(limit: rates.eventLimit, most: rate.perSecond, wait: wait)
                }
                if let rate = rates.bytes, let wait = buckets.bytes.take(cost.bytes, rate, now: now) {
                    buckets = before
                    return ClientRefusal(limit: rates.byteLimit, most: rate.perSecond, wait: wait)
                }
                return nil
            }
        }
        if let refusal { throw refusal }
    }

    private func giveBack(
        _ cost: ClientCost, _ key: ClientKey?, _ rates: ClientLimits.Rates, _ now: ContinuousClock.Instant
    ) {
        guard let key else { return }
        withEntries(of: key) { entries in
            entries.buckets.withBuckets(of: key, now: now) { buckets in
                if let rate = rates.events { buckets.events.giveBack(cost.events, rate) }
                if let rate = rates.bytes { buckets.bytes.giveBack(cost.bytes, rate) }
            }
        }
    }
}

extension ClientLimits {
    fileprivate typealias Rates = (
        events: ClientRate?, bytes: ClientRate?, eventLimit: ClientLimit, byteLimit: ClientLimit
    )

    fileprivate var principalRates: Rates {
        (publishRatePerPrincipal, publishBytesPerPrincipal, .publishRatePerPrincipal, .publishBytesPerPrincipal)
    }

    fileprivate var addressRates: Rates {
        (publishRatePerAddress, publishBytesPerAddress, .publishRatePerAddress, .publishBytesPerAddress)
    }

    fileprivate var limitsPublishing: Bool {
        publishRatePerPrincipal != nil || publishRatePerAddress != nil || publishBytesPerPrincipal != nil
            || publishBytesPerAddress != nil
    }

    fileprivate var isLimited: Bool {
        limitsPublishing || connectionsPerAddress != nil || streamsPerPrincipal != nil || streamsPerAddress != nil
    }
}

/// What a publish costs.
private struct ClientCost {
    let events: Int
    let bytes: Int

    init(_ events: [Event]) {
        self.events = events.count
        bytes = events.reduce(0) { $0 + $1.byteCount - Event.overheadBytes }
    }
}
