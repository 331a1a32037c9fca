// SPDX-License-Identifier: Apache-2.0

import MartletSupport
import Testing

@Suite("Amounts with a unit")
struct UnitScaleTests {
    @Test(
        "Durations are read in milliseconds",
        arguments: [
            ("0", 0), ("15", 15_000), ("500ms", 500), ("15s", 15_000), ("2m", 120_000), ("24h", 86_400_000),
            ("7d", 604_800_000), ("007s", 7000), ("9223372036854775807ms", Int.max),
        ]
    )
    func readsDuration(text: String, milliseconds: Int) {
        #expect(UnitScale.milliseconds.parse(text) == milliseconds)
    }

    @Test(
        "Sizes are read in bytes",
        arguments: [
            ("0", 0), ("65536", 65_536), ("512KiB", 524_288), ("64MiB", 67_108_864), ("1GiB", 1_073_741_824),
            ("8388607TiB", 8_388_607 << 40),
        ]
    )
    func readsSize(text: String, bytes: Int) {
        #expect(UnitScale.bytes.parse(text) == bytes)
    }

    @Test(
        "Other texts are malformed",
        arguments: [
            "", "s", "-1s", "+1s", "1.5s", "1 s", " 1s", "1s ", "1S", "1sec", "1s1s", "1e3", "٣s", "106751991168d",
            "9223372036854775808ms",
        ]
    )
    func refusesDuration(text: String) {
        #expect(UnitScale.milliseconds.parse(text) == nil)
    }

    @Test(
        "Other sizes are malformed",
        arguments: ["", "MiB", "64MB", "64mib", "64M", "64B", "64 MiB", "-1", "0.5GiB", "8388608TiB"]
    )
    func refusesSize(text: String) {
        #expect(UnitScale.bytes.parse(text) == nil)
    }

    @Test(
        "A duration is written in the largest unit that divides it",
        arguments: [(0, "0ms"), (1, "1ms"), (1000, "1s"), (1001, "1001ms"), (90_000, "90s"), (604_800_000, "7d")]
    )
    func writesDuration(milliseconds: Int, text: String) {
        #expect(UnitScale.milliseconds.describe(milliseconds) == text)
    }

    @Test(
        "A size is written in the largest unit that divides it",
        arguments: [(0, "0"), (1023, "1023"), (1024, "1KiB"), (64 << 20, "64MiB"), (3 << 29, "1536MiB")]
    )
    func writesSize(bytes: Int, text: String) {
        #expect(UnitScale.bytes.describe(bytes) == text)
    }
}
