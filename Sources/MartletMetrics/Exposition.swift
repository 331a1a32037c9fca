// SPDX-License-Identifier: Apache-2.0

/// How names, texts, numbers and lines are written in the Prometheus text format 0.0.4.
///
/// Source: <https://prometheus.io/docs/instrumenting/exposition_formats/>
enum Exposition {
    /// A name with `_` for each character that is not allowed, and with the suffix unless it ends in it.
    static func metricName(_ label: String, suffix: String) -> String {
        let name = name(label, allowsColon: true)
        return name.hasSuffix(suffix) ? name : name + suffix
    }

    /// A name with `_` for each character that is not allowed. Of several `_` at the start one is left: Prometheus
    /// keeps `__` for itself.
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

    /// Works on scalars: to `Character`s CRLF is one, and no line feed.
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
