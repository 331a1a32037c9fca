// SPDX-License-Identifier: Apache-2.0

/// All series of a registry, by family, up to a maximum number. A value.
struct Families: Sendable {
    private let maximumSeries: Int
    private var families: [String: Family]
    /// The names of all samples, so that no two families write the same name.
    private var sampleNames: Set<String>
    private var seriesCount = 0

    /// - Parameter reserved: A series that always exists and is not counted.
    init(maximumSeries: Int, reserved: CounterSeries, help: String) {
        self.maximumSeries = maximumSeries
        var family = Family(name: reserved.family, type: .counter, help: help, bounds: [])
        family.series[reserved.labels] = reserved
        families = [family.name: family]
        sampleNames = family.sampleNames
    }

    var sorted: [Family] { families.values.sorted { $0.name < $1.name } }

    /// Finds or creates a series, and its family if there is none.
    ///
    /// - Returns: `nil` if there are too many series, or another type uses the name.
    mutating func series<S: Series>(_ labels: LabelSet, of family: Family) -> S? {
        var bounds = family.bounds
        // There must be no copy of the family when it changes, or each change would copy all its series.
        if let known = families[family.name] {
            guard known.type == family.type else { return nil }
            if let series = known.series[labels] { return series as? S }
            bounds = known.bounds
        } else if !sampleNames.isDisjoint(with: family.sampleNames) {
            return nil
        }
        guard seriesCount < maximumSeries else { return nil }
        let series = S(family: family.name, labels: labels, bounds: bounds)
        families[family.name, default: family].series[labels] = series
        sampleNames.formUnion(family.sampleNames)
        seriesCount += 1
        return series
    }

    /// Removes a series, and its family with the last one. Does nothing if the series is not in any.
    mutating func remove(_ series: any Series) {
        guard families[series.family]?.series[series.labels] === series else { return }
        families[series.family]?.series[series.labels] = nil
        seriesCount -= 1
        if let family = families[series.family], family.series.isEmpty {
            families[series.family] = nil
            sampleNames.subtract(family.sampleNames)
        }
    }
}

/// The type of a metric, as its `TYPE` line says.
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

    /// Its own name, and the names of its samples.
    var sampleNames: Set<String> {
        type == .histogram ? [name, "\(name)_bucket", "\(name)_sum", "\(name)_count"] : [name]
    }

    func write(to text: inout String) {
        if let help { text += "# HELP \(name) \(Exposition.help(help))\n" }
        text += "# TYPE \(name) \(type.rawValue)\n"
        for series in series.values.sorted(by: { $0.labels < $1.labels }) { series.write(to: &text) }
    }
}
