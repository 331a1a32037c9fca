// SPDX-License-Identifier: Apache-2.0

extension Duration {
    /// In whole milliseconds, as it is written to files and servers. What is longer than a hundred thousand years counts as
    /// that.
    package var wholeMilliseconds: Int64 {
        let bound = Duration.seconds(1 << 42)
        let (seconds, attoseconds) = min(max(self, .zero - bound), bound).components
        return seconds * 1000 + attoseconds / 1_000_000_000_000_000
    }
}
