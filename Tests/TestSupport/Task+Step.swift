// SPDX-License-Identifier: Apache-2.0

extension Task where Success == Never, Failure == Never {
    /// Lets others run. Throws when the task is cancelled, so that who waits for a condition ends with his test.
    package static func step() async throws {
        try checkCancellation()
        await yield()
    }
}
