// SPDX-License-Identifier: Apache-2.0

import Foundation
import NIOCore
import Testing

@testable import MartletCommand

@Suite("Errors when listening")
struct BindErrorTests {
    @Test(
        "The message says what to do",
        arguments: [
            (
                EADDRINUSE,
                "port 8080 on 127.0.0.1 is in use; stop the program that listens there or choose another --port"
            ),
            (EACCES, "this user may not listen on port 8080 on 127.0.0.1; choose a --port from 1024 up"),
            (EADDRNOTAVAIL, "127.0.0.1 is not an address of this machine; choose another --host"),
        ]
    )
    func message(code: CInt, text: String) {
        let error = BindError(IOError(errnoCode: code, reason: "bind"), settings: .example)
        #expect(error?.description == text)
    }

    @Test(
        "For a socket, too",
        arguments: [
            (ENOENT, "the folder of /run/a does not exist; make it or choose another --host"),
            (
                EACCES,
                "this user may not make the socket /run/a; choose a --host in a folder that it may write to"
            ),
        ]
    )
    func socketMessage(code: CInt, text: String) {
        var settings = HubSettings.example
        settings.host = .unix(path: "/run/a")
        #expect(BindError(IOError(errnoCode: code, reason: "bind"), settings: settings)?.description == text)
        #expect(BindError(IOError(errnoCode: EPIPE, reason: "write"), settings: settings) == nil)
    }

    @Test("Other errors are not about listening")
    func other() {
        #expect(BindError(IOError(errnoCode: EPIPE, reason: "write"), settings: .example) == nil)
        #expect(BindError(CancellationError(), settings: .example) == nil)
    }
}
