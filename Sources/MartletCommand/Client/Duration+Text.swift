// SPDX-License-Identifier: Apache-2.0

import MartletHTTP

extension Duration {
    /// As it is written in options, in whole milliseconds: `1500ms`, `30s`.
    var described: String {
        let milliseconds = Int(exactly: (self / .milliseconds(1)).rounded(.towardZero))
        return milliseconds.map(UnitScale.milliseconds.describe) ?? "\(self)"
    }
}
