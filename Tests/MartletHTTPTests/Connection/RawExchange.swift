// SPDX-License-Identifier: Apache-2.0

import MartletTesting
import TestSupport

extension TestServer {
    /// Sends bytes as they are and reads until the server closes.
    ///
    /// - Parameter finishing: Whether the client says that nothing more will come.
    func exchange(_ bytes: String, finishing: Bool = false) async throws -> String {
        let connection = try await TestConnection(port: port)
        try await connection.send(bytes)
        if finishing { try await connection.finishSending() }
        let answer = try await connection.receiveAll()
        try await connection.close()
        return answer
    }
}

extension TestConnection {
    /// Reads until a text has come, and returns everything up to the end of it and what came with it.
    func receive(through text: String) async throws -> String {
        var bytes: [UInt8] = []
        while bytes.firstRange(of: text.utf8) == nil {
            guard let more = try await receive() else {
                throw Missing(text: text, found: String(decoding: bytes, as: UTF8.self))
            }
            bytes += more
        }
        return String(decoding: bytes, as: UTF8.self)
    }

    struct Missing: Error {
        let text: String
        let found: String
    }
}

/// The status of each answer, in order. An answer begins right behind the body of the one before it.
func statuses(_ answers: String) -> [Int] {
    answers.utf8.ranges(of: "HTTP/1.".utf8).compactMap {
        Int(Substring(answers.utf8[$0.upperBound...].dropFirst(2).prefix(3)))
    }
}
