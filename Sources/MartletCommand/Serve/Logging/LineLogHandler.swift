// SPDX-License-Identifier: Apache-2.0

import Logging
import Martlet
import Synchronization

/// Writes each message as one line, whatever is in it.
struct LineLogHandler: LogHandler {
    private let label: String
    private let format: LogFormat
    private let write: @Sendable (String) -> Void
    var logLevel = Logger.Level.info
    var metadata: Logger.Metadata = [:]
    var metadataProvider: Logger.MetadataProvider?

    /// - Parameter write: Takes a line with its line feed, from any thread.
    init(label: String, format: LogFormat, write: @escaping @Sendable (String) -> Void) {
        self.label = label
        self.format = format
        self.write = write
    }

    subscript(metadataKey key: String) -> Logger.Metadata.Value? {
        get { metadata[key] }
        set { metadata[key] = newValue }
    }

    func log(event: LogEvent) {
        var fields = metadata
        if let provided = metadataProvider?.get() { fields.merge(provided) { $1 } }
        if let own = event.metadata { fields.merge(own) { $1 } }
        if let error = event.error { fields["error"] = fields["error"] ?? "\(error)" }
        let line = LogLine(
            time: .now, level: event.level, logger: label, message: event.message.description, fields: fields)
        write(line.text(as: format))
    }
}

extension Logger {
    /// A logger that writes lines to standard error.
    static func lines(_ label: String, as format: LogFormat, level: SharedLogLevel) -> Logger {
        Logger(label: label) { label in
            let lines = LineLogHandler(label: label, format: format) { LogOutput.standardError.write($0) }
            return SharedLevelHandler(lines, at: level)
        }
    }
}

/// A stream that takes lines one after the other.
final class LogOutput: Sendable {
    static let standardError = LogOutput(.error)

    private let stream: Mutex<StandardStream>

    init(_ stream: StandardStream) { self.stream = Mutex(stream) }

    /// Writes a line, and waits until it is taken. A line that cannot be written is lost: there is no other place for it.
    func write(_ line: String) { stream.withLock { _ = try? $0.sendAll(Array(line.utf8)) } }
}
