// SPDX-License-Identifier: Apache-2.0

extension EventSource {
    /// Why an event source has no connection and waits for the next. None holds a header, a query or the data of an
    /// event, so all are safe to log; the texts are for people and may change.
    public enum Cause: Hashable, Sendable, CustomStringConvertible {
        /// The server ended the stream.
        case ended
        /// The server answered with a status that may pass: 408, 425, 429 or 5xx.
        case answered(status: Int)
        /// Nothing came within ``Configuration/readTimeout``.
        case timedOut
        /// There is no address for the name of this host, or nobody to ask for it.
        case unknownHost(String)
        /// TLS came to nothing, because the certificate is not trusted for example, or nobody speaks TLS there.
        case tlsFailed(String)
        /// The connection was refused or reset, or what came over it is not HTTP.
        case failed(String)

        public var description: String {
            switch self {
            case .ended: "The stream has ended."
            case .answered(let status): "The server answered \(status)."
            case .timedOut: "Nothing came within the read timeout."
            case .unknownHost(let host): "The host \(host) is not known. Check its name, and this machine's DNS."
            case .tlsFailed(let reason): "There is no trusted connection: \(reason). Check the server's certificate."
            case .failed(let reason): "The connection failed: \(reason)."
            }
        }
    }
}
