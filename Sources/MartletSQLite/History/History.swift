// SPDX-License-Identifier: Apache-2.0

import GRDB
import Martlet
import Synchronization

/// The events in a file that is open, and the index that finds them.
///
/// A reader that meets damage receives a gap and continues behind it, and the log is told.
///
/// The connection that writes is the only one that changes the index, after what it wrote was committed. So the index never
/// knows of an event that is not in the file yet, and what a reader does not find any more was removed meanwhile.
final class History: Sendable {
    let file: LogFile
    let segments: Segments
    let watch: FileWatch
    let retention: Retention
    /// Called with what was found if the file contains something else than what was written.
    let damaged: @Sendable (any Error) -> Void
    let index: Mutex<HistoryIndex>

    init(
        _ contents: LogFile.Contents, in file: LogFile, _ watch: FileWatch, retention: Retention,
        damaged: @escaping @Sendable (any Error) -> Void
    ) {
        self.file = file
        self.watch = watch
        self.retention = retention
        self.damaged = damaged
        segments = contents.segments
        index = Mutex(contents.index)
    }

    /// The offset of the newest event.
    var last: UInt64 { index.withLock { $0.last } }
    /// The time of the newest event.
    var time: Int64 { index.withLock { $0.time } }
    /// What there is, in events and in bytes as retention counts them.
    var size: (events: Int, bytes: Int) { index.withLock { ($0.count, $0.byteCount) } }

    func position(_ offset: UInt64) -> Position { segments.position(offset) }
}
