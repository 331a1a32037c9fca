// SPDX-License-Identifier: Apache-2.0

/// Where a subscriber stands in its feed. It is all that a subscriber owns.
enum Cursor: Hashable, Sendable {
    /// Has everything up to this mark.
    case at(Mark)
    /// Came with a position, or is reading history: where that is in the feed is found when it moves.
    case after(Position)
}

/// What a cursor does next. Live delivery, catching up and replay are one question, asked again until there is nothing
/// more.
enum Step {
    /// Take these, the oldest first, and stand at the mark. The last of them: there is nothing more.
    case deliver(ShortList<Feed.Entry>, mark: Mark, isLast: Bool)
    /// What follows is no longer in the window: read the log after one position and through the mark.
    case replay(after: Position, through: Mark)
    /// There is nothing more. The mark is the end of the log as this node knows it.
    case caughtUp(Mark)
    /// The position is ahead of this node. Ask again when it has read on.
    case ahead
}
