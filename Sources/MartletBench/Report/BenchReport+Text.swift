// SPDX-License-Identifier: Apache-2.0

extension BenchReport {
    /// The report as a table for people. Notes may quote the server, so escape control characters before you print them.
    package var lines: [String] {
        var rows: [(String, String)] = [
            (
                "Subscribers",
                "\(subscribers.connected) of \(subscribers.requested) at \(subscribers.connectedPerSecond.fixed(0))/s, "
                    + "\(subscribers.failed) failed, \(subscribers.closed) closed"
            ),
            (
                "Deliveries",
                "\(deliveries.perSecond.fixed(0))/s, \((deliveries.bytesPerSecond / 1e6).fixed(2)) MB/s, "
                    + "\(deliveries.count) in \(seconds.fixed(1)) s"
            ),
        ]
        if let latency = latencyMicroseconds {
            let times = [("p50", latency.p50), ("p90", latency.p90), ("p99", latency.p99), ("max", latency.max)]
            rows.append(("Latency", times.map { "\($0) \(Self.time($1))" }.joined(separator: ", ")))
        }
        if let published {
            rows.append(
                (
                    "Published",
                    "\(published.acceptedPerSecond.fixed(1))/s; of \(published.sent) events \(published.accepted) "
                        + "accepted, \(published.refused) refused, \(published.unanswered) unanswered"
                )
            )
            rows.append(
                (
                    "Faults",
                    "\(published.lost) lost, \(published.duplicated) duplicated, \(published.outOfOrder) out of order"
                )
            )
        }
        if let server {
            let memory = server.residentBytesPerSubscriber.map { ", \($0) bytes resident a subscriber" } ?? ""
            rows.append(("Server", Self.cpu(server.cpuPercent, server.cpuMicrosecondsPerDelivery) + memory))
        }
        rows.append(("Generator", Self.cpu(generator.cpuPercent, generator.cpuMicrosecondsPerDelivery)))
        rows += notes.map { ("Note", $0) }
        return rows.map { $0 + String(repeating: " ", count: 13 - $0.count) + $1 }
    }

    /// A time with a fitting unit.
    static func time(_ microseconds: Double) -> String {
        switch microseconds {
        case ..<1000: "\(microseconds.fixed(0)) µs"
        case ..<1_000_000: "\((microseconds / 1000).fixed(2)) ms"
        default: "\((microseconds / 1_000_000).fixed(2)) s"
        }
    }

    private static func cpu(_ percent: Double, _ perDelivery: Double?) -> String {
        "CPU \(percent.fixed(1)) % of a core" + (perDelivery.map { ", \($0.fixed(2)) µs a delivery" } ?? "")
    }
}

extension Double {
    /// The nearest number with so many decimals.
    func rounded(to decimals: Int) -> Double {
        let scale = (0..<decimals).reduce(1.0) { scale, _ in scale * 10 }
        return (self * scale).rounded() / scale
    }

    /// The number with exactly so many decimals.
    func fixed(_ decimals: Int) -> String {
        let scale = (0..<decimals).reduce(1) { scale, _ in scale * 10 }
        guard let scaled = Int(exactly: (magnitude * Double(scale)).rounded()) else { return "\(self)" }
        let sign = self < 0 && scaled > 0 ? "-" : ""
        guard decimals > 0 else { return "\(sign)\(scaled)" }
        let fraction = String(scaled % scale)
        return "\(sign)\(scaled / scale)." + String(repeating: "0", count: decimals - fraction.count) + fraction
    }
}
