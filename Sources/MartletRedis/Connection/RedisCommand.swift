// SPDX-License-Identifier: Apache-2.0

#if Redis
/// A command with its arguments, which may be any bytes, one after the other.
struct RedisCommand {
    private(set) var bytes: [UInt8] = []
    private(set) var ends: [Int] = []

    init(_ words: String...) {
        for word in words { append(word) }
    }

    mutating func append(_ argument: String) {
        bytes += argument.utf8
        ends.append(bytes.count)
    }

    mutating func append(_ argument: [UInt8]) {
        bytes += argument
        ends.append(bytes.count)
    }

    mutating func append(_ number: some BinaryInteger) { append(String(number)) }

    /// Sets an argument that was appended.
    func appending(_ argument: String) -> RedisCommand {
        var command = self
        command.append(argument)
        return command
    }
}
#endif
