// SPDX-License-Identifier: Apache-2.0

/// How the application is asked, and for how long its answers are remembered.
public struct ForwardLimits: Hashable, Sendable {
    /// Time that the application may take to answer.
    public var timeout = Duration.seconds(5)
    /// How many questions are open at the same time; who needs one more is told to come back.
    public var maximumQuestions = 1000
    /// The largest answer.
    public var maximumAnswerBytes = 64 * 1024
    /// How long an answer is remembered at most, whatever its `Cache-Control` says.
    public var maximumAge = Duration.seconds(300)
    /// How many answers are remembered at most.
    public var maximumAnswers = 10_000
    /// The longest reason of a refusal that is passed on, in bytes of UTF-8; what is longer is cut.
    public var maximumDetail = 1000
    /// After how long a client should ask again when the application did not answer.
    public var retryAfter = Duration.seconds(1)

    public init() {}
}
