// SPDX-License-Identifier: Apache-2.0

package import Logging
package import Martlet

/// Says nothing.
package let quiet = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }

/// A hub that neither waits before it lets its streams go nor tells its clients to.
package func quickHub(
    retention: Retention = Retention(), clock: some Clock<Duration> = ContinuousClock(),
    _ configure: (inout HubConfiguration) -> Void = { _ in }
) -> Hub {
    var configuration = HubConfiguration()
    configuration.grace = .zero
    configuration.retry = .zero ... .zero
    configure(&configuration)
    return Hub(
        log: MemoryLog(retention: retention, clock: clock), configuration: configuration, logger: quiet)
}
