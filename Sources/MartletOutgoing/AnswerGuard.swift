// SPDX-License-Identifier: Apache-2.0

import NIOCore
import NIOHTTP1

/// Ends a connection at an answer that the HTTP client cannot handle. It stands between the decoder and the client, which
/// would stop the process at a status below 100, wait for ever while informational answers arrive, and take an upgrade
/// without a request as the end of an answer.
final class AnswerGuard: ChannelInboundHandler {
    typealias InboundIn = HTTPClientResponsePart
    typealias InboundOut = HTTPClientResponsePart

    /// The most informational answers (100 to 199) before the final one. Servers send one or two.
    static let maximumInformationalAnswers = 16

    private var informationalAnswers = 0
    private var isBroken = false

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        guard !isBroken else { return }
        if case .head(let head) = unwrapInboundIn(data), let error = fault(in: head) {
            isBroken = true
            // The client fails the request and closes the connection.
            context.fireErrorCaught(error)
        } else {
            context.fireChannelRead(data)
        }
    }

    private func fault(in head: HTTPResponseHead) -> AnswerError? {
        switch head.status.code {
        case 101: return .upgrade
        case 100...199:
            informationalAnswers += 1
            return informationalAnswers > Self.maximumInformationalAnswers ? .tooManyInformationalAnswers : nil
        case 200...999:
            informationalAnswers = 0
            return nil
        default: return .invalidStatus
        }
    }
}

/// Why a connection was ended at an answer. It contains nothing of what was received.
package enum AnswerError: Error, Hashable, CustomStringConvertible {
    case invalidStatus
    case tooManyInformationalAnswers
    case upgrade

    package var description: String {
        switch self {
        case .invalidStatus: "the status of the answer is not from 100 to 999"
        case .tooManyInformationalAnswers:
            "more than \(AnswerGuard.maximumInformationalAnswers) informational answers came before the answer"
        case .upgrade: "the server switched to another protocol without a request"
        }
    }
}
