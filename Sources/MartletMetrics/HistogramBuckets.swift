// SPDX-License-Identifier: Apache-2.0

/// The upper bounds that histograms have by default. Each bound is in its bucket; what is over the last one counts too.
public enum HistogramBuckets {
    /// For timers, in seconds: 0.1 ms to 1 min.
    public static let durations: [Double] = [
        0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60,
    ]

    /// For recorders, of bytes and of counts: the powers of 4 up to 16 Mi.
    public static let sizes: [Double] = (0...12).map { Double(1 << (2 * $0)) }
}
