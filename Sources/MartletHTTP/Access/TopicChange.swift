// SPDX-License-Identifier: Apache-2.0

import HTTPTypes
import Martlet
import MartletSupport

/// A change of the topics of an open stream, which any node may be asked for.
struct TopicChange: Codable, Sendable {
    /// The name that the first event of the stream has said.
    var stream: String
    var add: [Topic]
    var remove: [Topic]

    /// What a node says that was asked.
    enum Answer: Codable, Sendable {
        /// The stream is not there.
        case absent
        case found(Result)

        /// The same, without the parts that may be long.
        var shortened: Answer {
            switch self {
            case .absent: .absent
            case .found(.changed): .found(.changed(#"{"changed":true}"#))
            case .found(.refused(let status, _, let field)):
                .found(.refused(status: status, detail: "The stream cannot be changed like this.", field: field))
            }
        }
    }

    /// Whether a stream can have the name.
    var hasPossibleName: Bool { stream.utf8.count == 32 && stream.utf8.allSatisfy { $0.hexDigit != nil } }

    enum Result: Codable, Sendable {
        /// The answer to the client, as JSON.
        case changed(String)
        case refused(status: Int, detail: String, field: String?)

        /// - Throws: ``Problem``
        var json: String {
            get throws {
                switch self {
                case .changed(let json): return json
                case .refused(let status, let detail, let field):
                    let later: HTTPFields = status == 503 ? [.retryAfter: "1"] : [:]
                    throw Problem(HTTPResponse.Status(code: status), detail, field: field, headers: later)
                }
            }
        }
    }

    /// Changes the stream if it is on this node.
    ///
    /// - Returns: The answer to the client, as JSON; `nil` if the stream is not on this node.
    /// - Throws: ``Problem``, ``/Martlet/MartletError``
    func make(on hub: Hub, for grant: Grant) async throws -> String? {
        let (added, removed) = (Set(add.map { TopicSelector($0) }), Set(remove.map { TopicSelector($0) }))
        do {
            let stream = try await hub.change(stream, of: grant.principal, until: grant.instantOfEnd) { selection in
                let topics = selection.selectors.union(added).subtracting(removed)
                guard !topics.isEmpty else {
                    throw Problem(
                        .conflict, "No topic would be left. Close the stream, or add another topic.", field: "remove")
                }
                try grant.checkSubscribing(to: topics)
                return Selection(selectors: topics, grants: grant.subscribe)
            }
            return Self.json(of: stream)
        } catch StreamChangeError.ended {
            return nil
        } catch let error as StreamChangeError {
            throw Problem(error)
        }
    }

    /// What this node says to another one that asks.
    func answer(of hub: Hub, for grant: Grant) async -> Answer {
        do {
            guard let json = try await make(on: hub, for: grant) else { return .absent }
            return .found(.changed(json))
        } catch {
            let problem = error as? Problem ?? (error as? MartletError).map { Problem($0) }
            return .found(
                .refused(
                    status: problem?.status.code ?? 500, detail: problem?.detail ?? "The stream cannot be changed.",
                    field: problem?.field))
        }
    }

    private static func json(of stream: ChangedStream) -> String {
        func list(_ topics: [String]) -> String { "[\(topics.sorted().map(\.jsonQuoted).joined(separator: ","))]" }
        let topics = list(stream.selection.selectors.map(\.text))
        let ended = list(stream.ended.topics.map(\.name))
        return #"{"topics":\#(topics),"after":\#(stream.position.text.jsonQuoted),"ended":\#(ended)}"#
    }
}

extension Topic: Codable {
    public init(from decoder: any Decoder) throws { try self.init(String(from: decoder)) }

    public func encode(to encoder: any Encoder) throws { try name.encode(to: encoder) }
}

extension Problem {
    fileprivate init(_ error: StreamChangeError) {
        let later: HTTPFields = [.retryAfter: "1"]
        switch error {
        case .ended: self.init(.notFound, "The stream has ended.")
        case .beginning:
            self.init(.serviceUnavailable, "The stream is still sent its first values. Try again.", headers: later)
        case .tooMany:
            self.init(.serviceUnavailable, "Too many changes of the stream wait. Try again.", headers: later)
        }
    }
}
