// SPDX-License-Identifier: Apache-2.0

/// What a metric is to Prometheus, as its `TYPE` line says.
enum MetricType: String {
    case counter, gauge, histogram
}

/// The series of one name.
struct Family: Sendable {
    let name: String
    let type: MetricType
    let help: String?
    /// The bounds of all histograms of the family, ascending.
    let bounds: [Double]
    var series: [LabelSet: any Series] = [:]

    /// The names at the beginning of its lines, and the one of its own.
    var sampleNames: Set<String> {
        type == .histogram ? [name, "\(name)_bucket", "\(name)_sum", "\(name)_count"] : [name]
    }

    func write(to text: inout String) {
        if let help { text += "# HELP \(name) \(Exposition.help(help))\n" }
        text += "# TYPE \(name) \(type.rawValue)\n"
        for series in series.values.sorted(by: { $0.labels < $1.labels }) { series.write(to: &text) }
    }
}
