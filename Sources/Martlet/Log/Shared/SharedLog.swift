// SPDX-License-Identifier: Apache-2.0

/// A log on a server, which several nodes share. To write one for another server, begin here.
///
/// The nodes are hubs in different processes. An event that is published on one node reaches the subscribers of all,
/// and a client may resume on any node. So the contract of ``Log`` holds across nodes, and a shared log promises more:
///
/// - **Positions mean the same on all nodes.** A position that one node has handed out can be read from, resolved and
///   compared on any other node, even if that node has not read as far yet. It is never taken for a position of another
///   stream, or of this one before the server lost everything: put something like an epoch into it.
/// - **Each publish is accepted once.** If an answer is lost, the same group of publishes is sent again, and the server
///   has to recognise it by its ``GroupPublisher/Group/ID``. A group that arrives late, after a newer one of the same
///   node, must not be accepted. If the client of the server does all of this itself, answer for each publish, and
///   never throw ``LogUnreachable`` once something was sent.
/// - **The server may be away.** ``Log/open()`` waits for it, as long as that takes. Later, ``Log/append(_:once:)`` and
///   reading throw `storageFailed` after a bounded time, and ``Log/tail(after:limit:)`` waits. When the server is back,
///   everything continues where it was. A hub keeps its streams open meanwhile.
/// - **The server may lose events.** If it returns with less than a node has read or added, readers behind the loss and
///   clients that saw lost events get the gap ``Gap/Reason/rolledBack``; if it returns without the stream, everyone
///   gets ``Gap/Reason/epoch``.
/// - **Others may write to the stream.** An entry that is not an event, or is over the ``Limits``, is skipped and
///   counted.
///
/// Clients of most servers block, or have their own threads. These parts keep them away from the event loops, and bound
/// what waits:
///
/// | part | what it does |
/// |---|---|
/// | ``GroupPublisher`` | sends groups of publishes one after the other, and again if an answer is lost |
/// | ``TailBuffer`` | holds events between the thread that follows the stream and ``Log/tail(after:limit:)`` |
/// | ``ConnectionPool`` | runs calls that read history on threads with one connection each |
/// | ``Reachability`` | knows whether the server answers, and logs each change once |
/// | ``LogLifecycle`` | runs the thread that follows the server, and lets ``Log/open()`` wait for it |
/// | ``RetryDelay`` | how long to wait before the next attempt |
/// | ``EventFields`` | an event as names and values, to store it and to read what other programs have stored |
/// | ``SliceBuilder`` | fills a slice with the selected events, up to a limit |
/// | ``TrimmedTopics`` | remembers which topics lost events to retention |
/// | ``Epoch`` | a random part of positions that tells two lives of a log apart |
///
/// So a shared log consists of a thread that connects, follows the stream and appends to the buffer; a closure that
/// sends a group; and calls that read. `RedisLog` and `KafkaLog` are the examples. Check your own with `LogContract` of
/// `MartletTesting`: its `sharedChecks` run on several nodes of one stream, and `restartChecks` over restarts. Not
/// checked there, and worth tests of your own: the server away while groups are on their way, and the server back with
/// less than it had.
public protocol SharedLog: Log {
    /// The state of the log on this node, for metrics. Called from any thread; must not block.
    var health: SharedLogHealth { get }
}

/// How a node gets on with a log on a server.
public struct SharedLogHealth: Equatable, Sendable {
    /// Whether the server answered when the node asked last.
    public var isReachable: Bool
    /// The age difference between the newest event on the server and the newest event that this node has read, as far
    /// as the node knows. Zero if they are the same event, however old.
    public var lag: Duration
    /// How many times the server went away.
    public var losses: Int
    /// How many entries were skipped because they are not events.
    public var skipped: Int

    public init(isReachable: Bool, lag: Duration, losses: Int, skipped: Int) {
        self.isReachable = isReachable
        self.lag = lag
        self.losses = losses
        self.skipped = skipped
    }
}

extension MartletError {
    /// The server of a log does not answer.
    ///
    /// - Parameter mayHaveAccepted: Whether the server may have accepted the events.
    public static func logUnreachable(mayHaveAccepted: Bool = false) -> MartletError {
        MartletError(
            .storageFailed,
            mayHaveAccepted
                ? "The log did not answer, so it is not known whether this was published. Retry with the same "
                    + "Idempotency-Key if nothing must be published twice."
                : "The log cannot be reached. Try again later.")
    }

    /// Too many calls wait for a log.
    public static let logOverloaded = MartletError(
        .overloaded, "Too many requests wait for the log. Nothing was done; try again later, or send fewer requests.")
    /// The log is not open yet, or it is closed.
    public static let logNotOpen = MartletError(.notRunning, "The log is not open. Try again later.")
}
