// SPDX-License-Identifier: Apache-2.0

/// Names, texts, numbers and lines in the Prometheus text format 0.0.4.
///
/// Source: <https://prometheus.io/docs/instrumenting/exposition_formats/>
enum Exposition {
    /// A name with `_` for each character that is not allowed, and with the suffix unless it ends with it.
    static func metricName(_ label: String, suffix: String) -> String {
        let name = name(label, allowsColon: true)
        return name.hasSuffix(suffix) ? name : name + suffix
    }

    /// A name with `_` for each character that is not allowed. Several `_` at the start become one, because Prometheus
    /// reserves `__`.
    static func labelName(_ dimension: String) -> String {
        let name = name(dimension, allowsColon: false)
        return name.hasPrefix("__") ? "_" + name.drop { $0 == "_" } : name
    }

    private static func name(_ text: String, allowsColon: Bool) -> String {
        var name = ""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "a"..."z", "A"..."Z":
                name.unicodeScalars.append(scalar)
            case "0"..."9":
                if name.isEmpty { name = "_" }
                name.unicodeScalars.append(scalar)
            case ":" where allowsColon:
                name += ":"
            default:
                name += "_"
            }
        }
        return name.isEmpty ? "_" : name
    }

    static func labelValue(_ text: String) -> String { escape(text, quotes: true) }
    static func help(_ text: String) -> String { escape(text, quotes: false) }

    /// Works on scalars: as a `Character`, CRLF is one, and not a line feed.
    private static func escape(_ text: String, quotes: Bool) -> String {
        var escaped = ""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "\\": escaped += "\\\\"
            case "\n": escaped += "\\n"
            case "\"" where quotes: escaped += "\\\""
            default: escaped.unicodeScalars.append(scalar)
            }
        }
        return escaped
    }

    /// A number as Go's `ParseFloat` reads it, integers without a point.
    static func number(_ value: Double) -> String {
        if let integer = Int64(exactly: value) { return "\(integer)" }
        if value.isNaN { return "NaN" }
        if value.isInfinite { return value < 0 ? "-Inf" : "+Inf" }
        return "\(value)"
    }

    /// Writes the line of one sample.
    static func write(_ name: String, _ labels: String, _ value: String, to text: inout String) {
        text += labels.isEmpty ? "\(name) \(value)\n" : "\(name){\(labels)} \(value)\n"
    }
}

/// The labels of one series, sorted by name, so that their order does not matter.
///
/// Two sets are compared byte by byte: for Prometheus, two Unicode spellings of a text are two series; for `String`,
/// they are equal.
struct LabelSet: Hashable, Comparable, Sendable {
    static let none = LabelSet(bytes: [])

    private let bytes: [UInt8]

    private init(bytes: [UInt8]) { self.bytes = bytes }

    /// `nil` if two dimensions have the same name, or one has a name that histograms reserve.
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
