// SPDX-License-Identifier: Apache-2.0

package import Martlet
import Synchronization

/// The notices that a log has handed over.
package final class HeardNotices: Sendable {
    private let state = Mutex<[String]>([])

    package init(of log: any NoticeLog) {
        log.notices.add { [weak self] text in self?.state.withLock { $0.append(text) } }
    }

    package var texts: [String] { state.withLock { $0 } }
}
