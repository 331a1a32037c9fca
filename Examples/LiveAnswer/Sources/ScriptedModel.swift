// SPDX-License-Identifier: Apache-2.0

import Foundation
import Hummingbird

/// The parts of the chat/completions protocol that this example needs.
struct ChatRequest: Codable {
    struct Message: Codable {
        var role: String
        var content: String
    }

    var model: String
    var messages: [Message]
    var stream: Bool
}

struct ChatChunk: Codable {
    struct Choice: Codable {
        struct Delta: Codable { var content: String? }

        var index = 0
        var delta: Delta
    }

    var object = "chat.completion.chunk"
    var choices: [Choice]
}

/// Stands for a server of a language model. It says the same to each question, a token at a time.
enum ScriptedModel {
    private static let answer = """
        A martlet is the bird of old coats of arms. It looks like a swallow and has no feet, so it never lands: \
        the people who drew it believed that it lives in the air.

        That makes it a good name for a program that keeps answers like this one in the air. The words come from \
        the model one by one. The server appends each of them to a topic, and every page that is open shows it.

        Reload the page now. It reads the topic from its beginning, so you see each word once, and then it goes on \
        with the next. Close the window, and the answer grows without you. When it is complete, the topic ends, \
        and the browser stops asking for more.
        """

    static func respond(to request: Request, context: some RequestContext) async throws -> Response {
        let chat = try await request.decode(as: ChatRequest.self, context: context)
        let question = chat.messages.last?.content ?? ""
        return Response(
            status: .ok, headers: [.contentType: "text/event-stream"],
            body: ResponseBody { writer in
                for token in tokens("You asked: \(question)\n\n\(answer)") {
                    let chunk = ChatChunk(choices: [.init(delta: .init(content: token))])
                    let json = String(decoding: try JSONEncoder().encode(chunk), as: UTF8.self)
                    try await writer.write(ByteBuffer(string: "data: \(json)\n\n"))
                    try await Task.sleep(for: .milliseconds(60))  // stands for the work on a token
                }
                try await writer.write(ByteBuffer(string: "data: [DONE]\n\n"))
                try await writer.finish(nil)
            })
    }

    /// Words with the space in front of them, as models make them.
    private static func tokens(_ text: String) -> [String] {
        var tokens = [""]
        for character in text {
            if character == " " { tokens.append("") }
            tokens[tokens.count - 1].append(character)
        }
        return tokens
    }
}
