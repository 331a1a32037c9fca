// SPDX-License-Identifier: Apache-2.0

import MartletClient

/// Prints the events of a source, one after the other: the next is read from the server once the last is written.
struct Listener: Sendable {
    let source: EventSource
    let notes: ConnectionNotes
    let format: EventFormat
    /// How many events are printed; `nil` for all.
    let count: Int?
    /// For how long there may be no connection; `nil` for ever.
    let patience: Duration?

    /// Returns when the server says that there is no more, when all are printed, or nobody wants more.
    func run() async throws {
        try await untilUnwanted {
            guard let patience else { return try await printEvents() }
            try await first(of: printEvents) {
                try await notes.untilLost(for: patience)
                let text = "there was no connection for \(patience.described)"
                throw ClientError(.unreachable, notes.reason.isEmpty ? text : "\(text): \(notes.reason)")
            }
        }
    }

    private func printEvents() async throws {
        var printed = 0
        do {
            for try await event in source {
                guard try await StandardStream.output.send(try format.bytes(of: event)) else { return }
                printed += 1
                if printed == count { return }
            }
        } catch let error as EventSourceError {
            throw ClientError(error)
        }
    }
}

extension ClientError {
    init(_ error: EventSourceError) {
        switch error.code {
        case .invalidURL, .invalidRequest: self.init(.usage, error.message)
        case .refused: self.init(.refused, error.message)
        default: self.init(.failed, error.message)
        }
    }
}
