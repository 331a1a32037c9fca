// SPDX-License-Identifier: Apache-2.0

/// Why the hub refused something.
///
/// Match on ``code``; the codes may grow. ``field`` names the part of the input that is at fault, in the words of the
/// HTTP interface (`topic`, `id`, `type`, `retry`, `key`, `data`, `Idempotency-Key`), and ``message`` says what to do. It
/// never contains the data of an event.
public struct MartletError: Error, Hashable, Sendable, CustomStringConvertible {
    public struct Code: Hashable, Sendable, CustomStringConvertible {
        public let description: String

        /// The topic is empty, too long, or has control characters.
        public static let invalidTopic = Code(description: "invalidTopic")
        /// The topic is in `/.well-known/mercure`, where the hub alone publishes.
        public static let reservedTopic = Code(description: "reservedTopic")
        /// The id is empty, too long, reserved, or has control characters.
        public static let invalidID = Code(description: "invalidID")
        /// The type is empty, too long, reserved, or has control characters.
        public static let invalidType = Code(description: "invalidType")
        /// The retry is negative.
        public static let invalidRetry = Code(description: "invalidRetry")
        /// The key is empty, too long, or has control characters.
        public static let invalidKey = Code(description: "invalidKey")
        /// The event or the batch is larger than the hub accepts.
        public static let tooLarge = Code(description: "tooLarge")
        /// The idempotency key is empty, too long, or has control characters.
        public static let invalidIdempotencyKey = Code(description: "invalidIdempotencyKey")
        /// The idempotency key was given before, with other events.
        public static let keyReused = Code(description: "keyReused")
        /// The topic has ended.
        public static let topicEnded = Code(description: "topicEnded")
        /// Another writer has taken over the topic.
        public static let writerReplaced = Code(description: "writerReplaced")
        /// The topic has expired with all of its events.
        public static let topicExpired = Code(description: "topicExpired")
        /// The right of a reader was taken back while it waited.
        public static let rightRevoked = Code(description: "rightRevoked")
        /// The name of the writer is empty, too long, or has control characters.
        public static let invalidWriter = Code(description: "invalidWriter")
        /// The subscription names no topic, or more than the hub allows.
        public static let invalidSubscription = Code(description: "invalidSubscription")
        /// More is published than the hub gets rid of.
        public static let overloaded = Code(description: "overloaded")
        /// There is no room to keep what is published. It may be tried again.
        public static let storageFull = Code(description: "storageFull")
        /// The storage does not work at the moment, or cannot be reached. Retrying may help.
        public static let storageFailed = Code(description: "storageFailed")
        /// The hub is not running yet, or no more.
        public static let notRunning = Code(description: "notRunning")
    }

    public let code: Code
    /// The part of the input that is at fault; `nil` if the input is not at fault.
    public let field: String?
    public let message: String

    public init(_ code: Code, field: String? = nil, _ message: String) {
        self.code = code
        self.field = field
        self.message = message
    }

    public var description: String { message }

    package static let reservedID = MartletError(
        .invalidID, field: "id", "The id has the form of the hub's own ids. Choose another, or leave it out.")
    package static let invalidPosition = MartletError(
        .invalidID, field: "id",
        "A position is 1 to 128 bytes of ASCII without spaces, control characters and \"():<>?@[\\]{}.")
    package static let foreignPosition = MartletError(
        .invalidID, field: "id", "The position is not of this log. Resolve it first.")
    package static let keyReused = MartletError(
        .keyReused, field: "Idempotency-Key", "The key was given with something else. Make a new one for each publish.")
}
