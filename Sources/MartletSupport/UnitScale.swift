// SPDX-License-Identifier: Apache-2.0

/// Whole amounts written as a number and a unit: `15s`, `64MiB`.
package struct UnitScale: Sendable {
    /// The units from the smallest to the largest, each with its size in the base unit.
    private let units: [(suffix: String, size: Int)]
    /// The size of the unit of a number that names none.
    private let plain: Int

    /// Durations in milliseconds; a plain number is in seconds.
    package static let milliseconds = UnitScale(
        units: [("ms", 1), ("s", 1000), ("m", 60_000), ("h", 3_600_000), ("d", 86_400_000)],
        plain: 1000
    )

    /// Sizes in bytes; a plain number is in bytes.
    package static let bytes = UnitScale(
        units: [("", 1), ("KiB", 1 << 10), ("MiB", 1 << 20), ("GiB", 1 << 30), ("TiB", 1 << 40)],
        plain: 1
    )

    /// The amount that `text` stands for; nil if it is malformed or too large for an integer.
    @Sendable package func parse(_ text: String) -> Int? {
        let digits = Substring(text.utf8.prefix(while: \.isDigit))
        let suffix = text[digits.endIndex...]
        let size = suffix.isEmpty ? plain : units.first { $0.suffix.isExactly(suffix) }?.size
        guard let number = Int(digits), let size else { return nil }
        let (amount, overflow) = number.multipliedReportingOverflow(by: size)
        return overflow ? nil : amount
    }

    /// The amount in the largest unit that divides it.
    @Sendable package func describe(_ amount: Int) -> String {
        let unit = units.last { amount.isMultiple(of: $0.size) && amount >= $0.size } ?? units[0]
        return "\(amount / unit.size)\(unit.suffix)"
    }
}
