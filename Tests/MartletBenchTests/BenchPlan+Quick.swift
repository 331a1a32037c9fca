// SPDX-License-Identifier: Apache-2.0

import MartletBench
import MartletOutgoing

extension BenchPlan {
    /// A run without waiting.
    ///
    /// - Parameter publishing: The events a second that are published to the same URL; `nil`: none.
    static func quick(
        _ url: String, publishing rate: Int? = nil, subscribers: Int = 20, duration: Duration = .milliseconds(300),
        drain: Duration = .seconds(10)
    ) throws -> BenchPlan {
        let target = try OutgoingURL(url)
        return BenchPlan(
            target: target, header: [], subscribers: subscribers, connectRate: 2000, settle: .zero, warmUp: .zero,
            duration: duration, drain: drain,
            publishing: rate.map { Publishing(target: target, header: [], rate: $0, size: 200) }, serverProcess: nil)
    }
}
