// SPDX-License-Identifier: Apache-2.0

/// What a scrape reads, by the rules of the text format 0.0.4 and no more leniently. Throws where a line breaks one.
///
/// It works on bytes and shares nothing with what writes the text.
struct ParsedExposition {
    /// The values of labels are bytes: to Prometheus, two spellings of a text in Unicode are two texts.
    struct Sample: Hashable {
        var name: String
        var labels: [String: [UInt8]]
    }

    struct Failure: Error, CustomStringConvertible {
        var description: String
    }

    /// The type of each family, in order.
    private(set) var families: [(name: String, type: String)] = []
    private(set) var help: [String: String] = [:]
    private(set) var samples: [Sample: Double] = [:]

    subscript(_ name: String, _ labels: [String: String] = [:]) -> Double? {
        samples[Sample(name: name, labels: labels.mapValues { Array($0.utf8) })]
    }

    init(_ text: String) throws {
        var lines = text.utf8.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false)
        guard lines.popLast()?.isEmpty == true else { throw Failure(description: "The last line does not end") }
        for line in lines {
            var line = LineReader(line)
            if line.skip("# HELP ") {
                let name = try line.name(allowsColon: true)
                try line.expect(" ")
                let text = try line.escaped(until: nil, escapes: ["\\": "\\", "n": "\n"])
                guard help.updateValue(text, forKey: name) == nil, !families.contains(where: { $0.name == name }) else {
                    throw line.failure("HELP twice, or behind TYPE")
                }
            } else if line.skip("# TYPE ") {
                let name = try line.name(allowsColon: true)
                try line.expect(" ")
                let type = line.rest
                guard ["counter", "gauge", "histogram"].contains(type) else { throw line.failure("Unknown type") }
                guard !families.contains(where: { $0.name == name }) else { throw line.failure("TYPE twice") }
                families.append((name, type))
            } else {
                try read(&line)
            }
        }
        for (name, type) in families where type == "histogram" { try checkHistograms(name) }
    }

    private mutating func read(_ line: inout LineReader) throws {
        let name = try line.name(allowsColon: true)
        var labels: [String: [UInt8]] = [:]
        if line.skip("{") {
            repeat {
                let label = try line.name(allowsColon: false)
                guard !label.hasPrefix("__") else { throw line.failure("Reserved label") }
                try line.expect("=\"")
                let escapes: [Character: Character] = ["\\": "\\", "n": "\n", "\"": "\""]
                let value = Array(try line.escaped(until: "\"", escapes: escapes).utf8)
                guard labels.updateValue(value, forKey: label) == nil else { throw line.failure("Label twice") }
            } while line.skip(",")
            try line.expect("}")
        }
        try line.expect(" ")
        let text = line.rest
        guard let value = text == "NaN" ? .nan : Double(text) else { throw line.failure("Not a number") }
        guard let family = families.last else { throw line.failure("No TYPE") }
        let suffixes = family.type == "histogram" ? ["_bucket", "_sum", "_count"] : [""]
        guard suffixes.contains(where: { family.name + $0 == name }) else { throw line.failure("In another group") }
        let sample = Sample(name: name, labels: labels)
        guard samples.updateValue(value, forKey: sample) == nil else { throw line.failure("Sample twice") }
    }

    private func checkHistograms(_ name: String) throws {
        var buckets: [[String: [UInt8]]: [(bound: Double, count: Double)]] = [:]
        for (sample, count) in samples where sample.name == "\(name)_bucket" {
            var labels = sample.labels
            let le = labels.removeValue(forKey: "le").map { String(decoding: $0, as: UTF8.self) }
            guard let le, let bound = Double(le) else {
                throw Failure(description: "\(name) has a bucket without a bound")
            }
            buckets[labels, default: []].append((bound, count))
        }
        for (labels, buckets) in buckets {
            let counts = buckets.sorted { $0.bound < $1.bound }.map(\.count)
            guard counts == counts.sorted(), buckets.contains(where: { $0.bound == .infinity }),
                counts.last == samples[Sample(name: "\(name)_count", labels: labels)],
                samples[Sample(name: "\(name)_sum", labels: labels)] != nil
            else { throw Failure(description: "\(name) is no histogram: \(counts)") }
        }
        let series = samples.keys.filter { $0.name == "\(name)_count" || $0.name == "\(name)_sum" }.map(\.labels)
        guard Set(series) == Set(buckets.keys) else { throw Failure(description: "\(name) lacks buckets") }
    }
}

/// Reads one line from its beginning.
private struct LineReader {
    private let line: String
    private var bytes: Substring.UTF8View.SubSequence

    init(_ bytes: Substring.UTF8View.SubSequence) {
        self.line = String(Substring(bytes))
        self.bytes = bytes
    }

    var rest: String { String(Substring(bytes)) }

    func failure(_ text: String) -> ParsedExposition.Failure {
        ParsedExposition.Failure(description: "\(text): \(line)")
    }

    mutating func skip(_ text: String) -> Bool {
        guard bytes.starts(with: text.utf8) else { return false }
        bytes = bytes.dropFirst(text.utf8.count)
        return true
    }

    mutating func expect(_ text: String) throws {
        guard skip(text) else { throw failure("Expected \(text)") }
    }

    mutating func name(allowsColon: Bool) throws -> String {
        let allowed = bytes.prefix { byte in
            switch byte {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"): true
            case UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "_"): true
            default: allowsColon && byte == UInt8(ascii: ":")
            }
        }
        guard let first = allowed.first, !(UInt8(ascii: "0")...UInt8(ascii: "9")).contains(first) else {
            throw failure("Not a name")
        }
        bytes = bytes.dropFirst(allowed.count)
        return String(Substring(allowed))
    }

    /// - Parameter end: What ends the text and is skipped; `nil` for the end of the line.
    mutating func escaped(until end: Character?, escapes: [Character: Character]) throws -> String {
        var text: [UInt8] = []
        while let byte = bytes.popFirst() {
            if byte == end?.asciiValue { return String(decoding: text, as: UTF8.self) }
            guard byte == UInt8(ascii: "\\") else {
                text.append(byte)
                continue
            }
            guard let next = bytes.popFirst(), let meant = escapes[Character(Unicode.Scalar(next))]?.asciiValue else {
                throw failure("Unknown escape")
            }
            text.append(meant)
        }
        guard end == nil else { throw failure("Text does not end") }
        return String(decoding: text, as: UTF8.self)
    }
}
