// SPDX-License-Identifier: Apache-2.0

/// All series of a registry by family, as many as are allowed. A value.
struct Families: Sendable {
    private let maximumSeries: Int
    private var families: [String: Family]
    /// The names of all samples, so that no two families write the same one.
    private var sampleNames: Set<String>
    private var seriesCount = 0

    /// - Parameter reserved: A series that is always there and is not counted.
    init(maximumSeries: Int, reserved: CounterSeries, help: String) {
        self.maximumSeries = maximumSeries
        var family = Family(name: reserved.family, type: .counter, help: help, bounds: [])
        family.series[reserved.labels] = reserved
        families = [family.name: family]
        sampleNames = family.sampleNames
    }

    var sorted: [Family] { families.values.sorted { $0.name < $1.name } }

    /// Finds a series or makes it, and with it the family unless there is one.
    ///
    /// - Returns: `nil` where there are too many, or the name is in use by another type.
    mutating func series<S: Series>(_ labels: LabelSet, of family: Family) -> S? {
        var bounds = family.bounds
        // No copy of a family may be left when it is changed, or each change would copy all its series.
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

    /// Removes a series, and with the last one its family. Does nothing where the series is not of these.
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
