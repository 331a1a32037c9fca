// SPDX-License-Identifier: Apache-2.0

#if os(Linux)
import CLinux
import Synchronization

extension Hub {
    /// How many streams have to have come or gone for it to be worth while.
    private static let herd = 1000
    /// How long it has to have been quiet.
    private static let quiet = Duration.milliseconds(500)

    /// Gives memory back to the system whenever a herd of clients has come or gone: what their connections needed for a
    /// moment lies about in many small pieces, which the allocator keeps by itself.
    func trimHeap() async {
        var (seen, trimmed) = (0, 0)
        while (try? await Task.sleep(for: Self.quiet)) != nil {
            let count = state.withLock { $0.arrivals + $0.departures }
            if count == seen, count - trimmed >= Self.herd {
                martlet_heap_trim()
                trimmed = count
            }
            seen = count
        }
    }
}
#endif
