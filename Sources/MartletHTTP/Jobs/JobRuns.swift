// SPDX-License-Identifier: Apache-2.0

import MartletSupport

/// Tells the latest run of a job from those before, as its reports come by in the order of the log. A value.
///
/// A run begins when it is queued or running. From then on only its reports count, whatever an earlier run that is still
/// at work may say.
struct JobRuns {
    private var run: String?
    /// Whether the latest run has ended.
    private(set) var isFinished = false

    enum Part {
        case beginning
        case continuation
        /// Of a run that is not the latest.
        case stale
    }

    mutating func take(_ report: JobReport) -> Part {
        let isSameRun = run?.isExactly(report.run) == true
        let isBeginning = report.isFirst && !isSameRun
        // What came before the first that is still in history is not known.
        guard isBeginning || run == nil || isSameRun else { return .stale }
        run = report.run
        isFinished = report.isFinal
        return isBeginning ? .beginning : .continuation
    }
}
