// SPDX-License-Identifier: Apache-2.0

#if Redis
/// Why a ``RedisLog`` cannot be opened, however long one waits.
public enum RedisLogError: Error, Equatable, CustomStringConvertible {
    /// Something else has the key of the stream, or one of those beside it.
    case wrongType(key: String)
    /// The server does not know what the log needs.
    case unsupported(String)
    /// The system starts no thread for the log.
    case noThread(String)
    /// The log was closed.
    case closed

    public var description: String {
        switch self {
        case .wrongType(let key):
            "The key \(key) of the server, or one that begins with \(key): is not what Martlet keeps there. Name another "
                + "stream: redis://…?stream=NAME."
        case .unsupported(let answer):
            "The server does not know a command that Martlet needs: \(answer). It has to be Redis 6.2 or newer, or Valkey."
        case .noThread(let message): message
        case .closed: "The log is closed."
        }
    }
}
#endif
