// SPDX-License-Identifier: Apache-2.0

/// How long and how many publishers wait while those who follow the log are behind. For logs that live in this process:
/// they hold back publishers, and a shared log goes on without its nodes.
public struct PublishQueue: Sendable {
    /// By how many bytes of events the log may be ahead of who follows it before publishers wait.
    public var backlogBytes = 8 * 1024 * 1024
    /// The most publishers that wait at the same time. The next one is refused at once.
    public var publishers = 1000
    /// How long a publisher waits before it is refused.
    public var patience = Duration.seconds(2)

    public init() {}
}
