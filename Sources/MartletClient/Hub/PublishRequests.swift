// SPDX-License-Identifier: Apache-2.0

import MartletOutgoing
import MartletSupport

/// The requests that publish some events in their order, without their tokens.
struct PublishRequests: Sendable {
    /// The most events of a request.
    static let maximumEvents = 1000
    /// The most bytes of a batch with more than one event, and of an event that is encoded as JSON. A hub accepts twice as
    /// many by default.
    static let maximumBytes = 512 * 1024

    let events: [HubEvent.Source]
    /// Names the publish of all events.
    let key: String
    let interface: HubClient.Interface
    let endpoint: OutgoingURL
    let headers: [String: String]

    /// - Throws: ``HubError`` with the code ``HubError/Code/invalidRequest``.
    func check() throws(HubError) {
        for case .event(let event) in events { try event.check(for: interface) }
    }

    /// The request for the first events of a range, as many as one request takes.
    ///
    /// - Parameter range: Indices of events; not empty.
    func next(of range: Range<Int>) throws -> (request: Request, events: Range<Int>) {
        var body: [UInt8] = []
        var end = range.lowerBound
        for index in range.prefix(Self.maximumEvents) {
            guard let line = try line(index) else { break }
            if index > range.lowerBound {
                guard body.count + 1 + line.count <= Self.maximumBytes else { break }
                // A line feed after the last line would make a line of the greatest length too long.
                body.append(0x0A)
            }
            body += line
            end = index + 1
        }
        var request = post(body, "application/x-ndjson", to: endpoint)
        if end == range.lowerBound, case .event(let event) = events[end] {
            request = try single(event)
            end += 1
        }
        let batch = range.lowerBound..<end
        // The parts of a refused batch are other publishes than the whole.
        request.headers["Idempotency-Key"] =
            batch == events.indices ? key : "\(key)-\(batch.lowerBound + 1)-\(batch.upperBound)"
        return (request, batch)
    }

    /// The event as a line of a batch; `nil` if it needs a request for itself.
    private func line(_ index: Int) throws -> [UInt8]? {
        switch events[index] {
        case .json(let json): return json
        case .event(let event):
            guard interface == .martlet else { return nil }
            let json = try event.json()
            // Escaped, data can take six times their bytes, more than a hub accepts.
            return json.count <= Self.maximumBytes ? json : nil
        }
    }

    private func single(_ event: HubEvent) throws -> Request {
        switch interface {
        case .martlet: post(Array(event.data.utf8), "text/plain; charset=utf-8", to: try event.url(below: endpoint))
        case .mercure: post(event.form, "application/x-www-form-urlencoded", to: endpoint)
        }
    }

    private func post(_ body: [UInt8], _ contentType: String, to target: OutgoingURL) -> Request {
        var request = Request(to: target, method: "POST", body: body)
        request.headers.set(headers)
        request.headers["Content-Type"] = contentType
        return request
    }
}
