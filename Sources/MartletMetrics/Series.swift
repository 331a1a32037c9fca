// SPDX-License-Identifier: Apache-2.0

/// The handler of one metric: takes what is recorded, and writes the lines of it.
protocol Series: AnyObject, Sendable {
    static var type: MetricType { get }

    /// The name of the family.
    var family: String { get }
    var labels: LabelSet { get }

    /// - Parameter bounds: Those of the buckets, ascending and finite; of no use to other types.
    init(family: String, labels: LabelSet, bounds: [Double])

    func write(to text: inout String)
}
