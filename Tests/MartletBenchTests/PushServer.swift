// SPDX-License-Identifier: Apache-2.0

import Foundation
import Synchronization

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#else
import Darwin
#endif

/// A server on a free port of this machine that sends the body of each POST to all who asked with GET, in chunks.
final class PushServer: Sendable {
    let port: Int
    private let listener: Int32
    private let isStopped = Atomic(false)
    /// The pieces of the stream that become of an event, by its number.
    private let pieces: @Sendable (Int, String) -> [String]
    private let head: String

    static let streamHead = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"

    init(head: String = streamHead, pieces: @escaping @Sendable (Int, String) -> [String] = { _, data in [data] }) {
        self.head = head
        self.pieces = pieces
        #if canImport(Glibc)
        let listener = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        #else
        let listener = socket(AF_INET, SOCK_STREAM, 0)
        #endif
        self.listener = listener
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        withUnsafeMutablePointer(to: &address) { address in
            address.withMemoryRebound(to: sockaddr.self, capacity: 1) { address in
                _ = bind(listener, address, length)
                _ = listen(listener, 128)
                getsockname(listener, address, &length)
            }
        }
        port = Int(UInt16(bigEndian: address.sin_port))
        Thread.detachNewThread { self.serve() }
    }

    func stop() {
        isStopped.store(true, ordering: .relaxed)
    }

    private func serve() {
        signal(SIGPIPE, SIG_IGN)
        var clients: [Int32: String] = [:]
        var subscribers: [Int32] = []
        var events = 0
        while !isStopped.load(ordering: .relaxed) {
            var waiting = ([listener] + clients.keys).map { pollfd(fd: $0, events: Int16(POLLIN), revents: 0) }
            guard poll(&waiting, nfds_t(waiting.count), 20) > 0 else { continue }
            for client in waiting where client.revents != 0 {
                guard client.fd != listener else {
                    clients[accept(listener, nil, nil)] = ""
                    continue
                }
                var bytes = [UInt8](repeating: 0, count: 65_536)
                let count = read(client.fd, &bytes, bytes.count)
                guard count > 0 else {
                    close(client.fd)
                    clients[client.fd] = nil
                    subscribers.removeAll { $0 == client.fd }
                    continue
                }
                var received = clients[client.fd, default: ""] + String(decoding: bytes[..<count], as: UTF8.self)
                while let (isGet, body) = Self.takeRequest(from: &received) {
                    if isGet {
                        subscribers.append(client.fd)
                        send(head, to: client.fd)
                    } else {
                        let chunks = pieces(events, body).map { data in
                            let event = "data: \(data)\n\n"
                            return "\(String(event.utf8.count, radix: 16))\r\n\(event)\r\n"
                        }
                        events += 1
                        for subscriber in subscribers { send(chunks.joined(), to: subscriber) }
                        send("HTTP/1.1 204 No Content\r\n\r\n", to: client.fd)
                    }
                }
                clients[client.fd] = received
            }
        }
        for client in clients.keys { close(client) }
        close(listener)
    }

    private static func takeRequest(from received: inout String) -> (isGet: Bool, body: String)? {
        guard let head = received.range(of: "\r\n\r\n") else { return nil }
        let lines = received[..<head.lowerBound].components(separatedBy: "\r\n")
        let length = lines.first { $0.hasPrefix("Content-Length: ") }.flatMap { Int($0.dropFirst(16)) } ?? 0
        let rest = received[head.upperBound...]
        guard rest.utf8.count >= length else { return nil }
        let body = String(decoding: rest.utf8.prefix(length), as: UTF8.self)
        received = String(decoding: rest.utf8.dropFirst(length), as: UTF8.self)
        return (lines[0].hasPrefix("GET "), body)
    }

    private func send(_ text: String, to client: Int32) {
        let bytes = Array(text.utf8)
        _ = bytes.withUnsafeBytes { write(client, $0.baseAddress, $0.count) }
    }
}
