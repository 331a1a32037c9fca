// SPDX-License-Identifier: Apache-2.0

extension Duration {
    /// The duration in whole milliseconds, as files and servers store it. A longer duration than 2^42 seconds (139 000
    /// years) counts as that.
    package var wholeMilliseconds: Int64 {
        let bound = Duration.seconds(1 << 42)
        let (seconds, attoseconds) = min(max(self, .zero - bound), bound).components
        return seconds * 1000 + attoseconds / 1_000_000_000_000_000
    }
}
