// SPDX-License-Identifier: Apache-2.0

import Logging

/// The limits of single clients.
extension Hub {
    /// A request or a connection is refused because of a limit of its client. It is counted, and now and then logged.
    package func clientRefused(_ refusal: ClientRefusal) {
        fanOut.metrics.clientRefused(refusal.limit)
        guard clients.isTimeToLog() else { return }
        logger.debug(
            "A client is above a limit; further refusals in this second are only counted.",
            metadata: ["limit": "\(refusal.limit.rawValue)", "most": "\(refusal.most)"])
    }
}
