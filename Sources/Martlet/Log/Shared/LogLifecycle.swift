// SPDX-License-Identifier: Apache-2.0

package import MartletSupport
import Synchronization

/// The life of a shared log on this node, and of the thread that follows its server: opening takes until the thread has
/// reached the server for the first time, and closing until the thread has ended.
///
/// All methods may be called from anywhere.
public final class LogLifecycle: Sendable {
    private enum Phase {
        case new
        case opening
        case open
        case failed(any Error)
        case closed
    }

    private let startThread: WorkThread.Starter
    private let phase = Mutex(Phase.new)
    private let changed = Signal()
    private let hasEnded = Atomic(false)
    private let ended = Signal()
    private let goOn = BinarySemaphore()

    public convenience init() { self.init(startThread: WorkThread.starter) }

    package init(startThread: @escaping WorkThread.Starter) { self.startThread = startThread }

    /// Returns once the log is open. The first call starts the thread.
    ///
    /// - Parameters:
    ///   - closed: Thrown if the log is closed.
    ///   - noThread: The error if the system starts no more threads, from the reason.
    ///   - follow: Runs on the thread: calls ``opened(_:)`` or ``failed(_:)``, and returns once the log is closed.
    /// - Throws: These errors, the one that ``failed(_:)`` received, or `CancellationError`.
    public func open(
        closed: any Error, noThread: (String) -> any Error, follow: @escaping @Sendable () -> Void
    ) async throws {
        let isFirst = phase.withLock { phase in
            guard case .new = phase else { return false }
            phase = .opening
            return true
        }
        if isFirst {
            do {
                try startThread {
                    follow()
                    self.endThread()
                }
            } catch {
                endThread()
                failed(noThread(error.description))
            }
        }
        try await changed.wait { () throws -> Void? in
            switch phase.withLock({ $0 }) {
            case .new, .opening: return nil
            case .open: return ()
            case .failed(let error): throw error
            case .closed: throw closed
            }
        }
    }

    private func endThread() {
        hasEnded.store(true, ordering: .releasing)
        ended.fire()
    }

    /// The thread has reached the server, for the first time or again.
    ///
    /// - Parameter start: Starts what an open log needs; called the first time.
    /// - Throws: The error of the closure. Then the log is not open.
    public func opened(_ start: () throws -> Void) throws {
        guard phase.withLock({ if case .opening = $0 { true } else { false } }) else { return }
        try start()
        phase.withLock { phase in
            if case .opening = phase { phase = .open }
        }
        changed.fire()
    }

    /// The log cannot be opened, however long one waits. Without effect once it was opened.
    public func failed(_ error: any Error) {
        phase.withLock { phase in
            if case .opening = phase { phase = .failed(error) }
        }
        changed.fire()
    }

    public var isOpen: Bool { phase.withLock { if case .open = $0 { true } else { false } } }

    /// Nothing is opened any more. Returns whether there is something to stop, and then ``waitForThread()`` comes last.
    public func close() -> Bool {
        let hasBegun = phase.withLock { phase in
            defer { phase = .closed }
            if case .new = phase { return false }
            if case .closed = phase { return false }
            return true
        }
        changed.fire()
        return hasBegun
    }

    /// Blocks the thread before it tries again, but not once ``waitForThread()`` was called.
    public func pause(atMost time: Duration) { goOn.wait(atMost: time) }

    /// Returns once the thread has ended, also if this task is cancelled.
    public func waitForThread() async {
        goOn.signal()
        await Task { try? await ended.wait { hasEnded.load(ordering: .acquiring) ? () : nil } }.value
    }
}
