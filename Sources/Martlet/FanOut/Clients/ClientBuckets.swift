// SPDX-License-Identifier: Apache-2.0

/// A token bucket, kept as the time at which it will be full (the generic cell rate algorithm of ITU-T I.371): it needs no
/// clock that ticks.
struct TokenBucket {
    private(set) var fullAt: ContinuousClock.Instant

    /// Takes tokens, if there are enough. More than a burst are taken from a full bucket, which then needs longer to fill: else
    /// a batch above the burst could never come.
    ///
    /// - Returns: how long it is until there are enough; `nil`: they were taken.
    mutating func take(_ count: Int, _ rate: ClientRate, now: ContinuousClock.Instant) -> Duration? {
        let start = max(fullAt, now)
        let wait = start + rate.time(for: min(count, rate.burst)) - now - rate.time(for: rate.burst)
        guard wait <= .zero else { return wait }
        fullAt = start + rate.time(for: count)
        return nil
    }

    mutating func giveBack(_ count: Int, _ rate: ClientRate) { fullAt -= rate.time(for: count) }
}

/// The buckets of one client: for its events, and for their bytes.
struct ClientBuckets {
    var events: TokenBucket
    var bytes: TokenBucket

    init(now: ContinuousClock.Instant) {
        events = TokenBucket(fullAt: now)
        bytes = events
    }

    func isFull(at now: ContinuousClock.Instant) -> Bool { events.fullAt <= now && bytes.fullAt <= now }
}

/// The buckets that are not full, of a bounded number of clients. A value.
///
/// They are in two generations. When the newer one is full, those of its buckets that are full again are dropped; if these are
/// few, it becomes the older one, and what was the older one is dropped: the clients that have published least recently.
struct BucketTable {
    /// The most of each generation.
    private let capacity: Int
    private var newer: [ClientKey: ClientBuckets] = [:]
    private var older: [ClientKey: ClientBuckets] = [:]

    /// - Parameter capacity: The most clients, at least 2.
    init(capacity: Int) { self.capacity = max(1, capacity / 2) }

    var count: Int { newer.count + older.count }

    mutating func withBuckets<Value>(
        of key: ClientKey, now: ContinuousClock.Instant, _ body: (inout ClientBuckets) -> Value
    ) -> Value {
        var buckets = newer[key] ?? older.removeValue(forKey: key) ?? ClientBuckets(now: now)
        let value = body(&buckets)
        if buckets.isFull(at: now) {
            newer[key] = nil
        } else if newer.updateValue(buckets, forKey: key) == nil, newer.count > capacity {
            makeRoom(but: key, now)
        }
        return value
    }

    private mutating func makeRoom(but key: ClientKey, _ now: ContinuousClock.Instant) {
        newer = newer.filter { !$0.value.isFull(at: now) }
        guard newer.count > capacity - capacity / 4 else { return }
        let latest = newer.removeValue(forKey: key)
        older = newer
        newer = latest.map { [key: $0] } ?? [:]
    }

    /// Drops the buckets that are full.
    mutating func sweep(_ now: ContinuousClock.Instant) {
        newer = newer.filter { !$0.value.isFull(at: now) }
        older = older.filter { !$0.value.isFull(at: now) }
    }
}
