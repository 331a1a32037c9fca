// SPDX-License-Identifier: Apache-2.0

import MartletTesting

/// Waits until a condition holds that another task brings about.
///
/// - Throws: ``TestEvents/Overdue`` after ``TestConnection/patience``; `CancellationError`; or the error of the condition.
package func until(_ condition: () async throws -> Bool) async throws {
    let end = ContinuousClock.now + TestConnection.patience
    var count = 0
    while try await !condition() {
        guard ContinuousClock.now < end else { throw TestEvents.Overdue() }
        count += 1
        // The first looks are free, as most conditions hold soon; a longer wait leaves the processor to other tests.
        if count < 100 { try await Task.step() } else { try await Task.sleep(for: .milliseconds(1)) }
    }
}

extension Task where Success == Never, Failure == Never {
    /// Lets other tasks run.
    ///
    /// - Throws: `CancellationError` if the task is cancelled, so that a loop ends with its test.
    package static func step() async throws {
        try checkCancellation()
        await yield()
    }
}
