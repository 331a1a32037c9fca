// SPDX-License-Identifier: Apache-2.0

import AsyncAlgorithms
import Foundation
import MartletHTTP
import ServiceLifecycle

struct Sample: Codable {
    var time: Date
    /// The share of all cores that was busy, from 0 to 1.
    var cpu: Double
    var cores: Int
    /// Bytes in use.
    var memory: Int
    /// Bytes.
    var memoryTotal: Int
    /// The load average of the last minute.
    var load: Double
    /// Bytes sent and received each second, without the loopback.
    var network: Double
}

struct Condition: Codable {
    var busy: Bool
    var since: Date
}

/// Publishes a sample each second.
struct Sampler: Service {
    let hub: Hub
    let samples = TypedTopic<Sample>("samples")
    let condition: StateTopic<Condition>

    init(hub: Hub) {
        self.hub = hub
        condition = StateTopic("condition", of: hub)
    }

    func run() async throws {
        var counters = try Counters()
        var wasBusy: Bool?
        let seconds = AsyncTimerSequence(interval: .seconds(1), clock: .continuous)
        for await _ in seconds.cancelOnGracefulShutdown() {
            let sample = try counters.sample()
            try await hub.publish(sample, to: samples)
            let isBusy = sample.load > Double(sample.cores)
            if isBusy != wasBusy { try await condition.set(Condition(busy: isBusy, since: sample.time)) }
            wasBusy = isBusy
        }
    }
}
