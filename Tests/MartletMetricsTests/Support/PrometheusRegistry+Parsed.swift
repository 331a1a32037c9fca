// SPDX-License-Identifier: Apache-2.0

import MartletMetrics

extension PrometheusRegistry {
    /// The exposition as it is parsed.
    func parsed() throws -> ParsedExposition { try ParsedExposition(render()) }

    /// The exposition without the family that is always there.
    func renderOthers() -> String {
        render().split(separator: "\n", omittingEmptySubsequences: false)
            .filter { !$0.contains("martlet_metrics_dropped_total") }.joined(separator: "\n")
    }

    /// How many metrics were dropped.
    func droppedCount() throws -> Double? { try parsed()["martlet_metrics_dropped_total"] }
}
