// SPDX-License-Identifier: Apache-2.0

import Logging

/// The limits of single clients, and what slow ones miss.
extension Hub {
    /// A request or a connection is refused because of a limit of its client. It is counted, and now and then logged.
    package func clientRefused(_ refusal: ClientRefusal) {
        fanOut.metrics.clientRefused(refusal.limit)
        guard clients.isTimeToLog() else { return }
        logger.debug(
            "A client is above a limit; further refusals in this second are only counted.",
            metadata: ["limit": "\(refusal.limit.rawValue)", "most": "\(refusal.most)"])
    }

    /// Uses other rules for slow subscribers from now on, in the place of ``HubConfiguration/latestTopics`` and
    /// ``HubConfiguration/skippedTopics``. The hub must run.
    public func setSlowRules(latestTopics latest: Set<TopicSelector>, skippedTopics skipped: Set<TopicSelector>) {
        fanOut.use(SlowRules(latest: latest, skipped: skipped))
    }
}
