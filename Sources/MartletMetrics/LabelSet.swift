// SPDX-License-Identifier: Apache-2.0

/// The labels of one series: sorted by name, so that the same in another order are the same series.
///
/// Two sets are equal byte for byte. Strings are equal also where Unicode has two spellings of a text, which are two
/// series to Prometheus.
struct LabelSet: Hashable, Comparable, Sendable {
    static let none = LabelSet(bytes: [])

    private let bytes: [UInt8]

    private init(bytes: [UInt8]) { self.bytes = bytes }

    /// `nil` if two dimensions have the same name, or one that a histogram needs for itself.
    init?(_ dimensions: [(String, String)], isHistogram: Bool) {
        var names: Set<String> = isHistogram ? ["le"] : []
        var labels: [(name: String, value: String)] = []
        for (dimension, value) in dimensions where !value.isEmpty {
            let name = Exposition.labelName(dimension)
            guard names.insert(name).inserted else { return nil }
            labels.append((name, Exposition.labelValue(value)))
        }
        labels.sort { $0.name < $1.name }
        bytes = Array(labels.map { "\($0.name)=\"\($0.value)\"" }.joined(separator: ",").utf8)
    }

    /// As it is written between braces; empty if there are no labels.
    var text: String { String(decoding: bytes, as: UTF8.self) }

    static func < (a: LabelSet, b: LabelSet) -> Bool { a.bytes.lexicographicallyPrecedes(b.bytes) }
}
