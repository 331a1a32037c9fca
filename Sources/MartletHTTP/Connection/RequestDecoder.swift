// SPDX-License-Identifier: Apache-2.0

import HTTPTypes
import MartletSupport
import NIOCore
import NIOHTTP1

/// Decodes requests. It goes on behind a request that offers an upgrade, where the decoder of NIO stops, and throws a
/// ``Problem`` that explains why bytes are no request.
final class RequestDecoder: ByteToMessageDecoder {
    typealias InboundOut = HTTPServerRequestPart

    private var decoder = RequestDecoder.makeDecoder()
    private var hasStopped = false
    /// Whether the bytes that are left over begin inside the target of a request.
    private var isInTarget = true

    private static func makeDecoder() -> HTTPRequestDecoder {
        var limits = NIOHTTPDecoderLimitConfiguration()
        limits.maxHeaderFieldSize = ConnectionBounds.targetBytes
        limits.maxHeaderListSize = ConnectionBounds.targetBytes + ConnectionBounds.fieldBytes
        limits.maxHeaderFieldCount = ConnectionBounds.fieldCount
        return HTTPRequestDecoder(limitConfiguration: limits)
    }

    /// Goes on with the next request. Call it at the end of a request behind which the decoder of NIO takes no more bytes.
    func goOn() { hasStopped = true }

    func decoderAdded(context: ChannelHandlerContext) { decoder.decoderAdded(context: context) }

    func decoderRemoved(context: ChannelHandlerContext) { decoder.decoderRemoved(context: context) }

    func decode(context: ChannelHandlerContext, buffer: inout ByteBuffer) throws -> DecodingState {
        repeat {
            restartIfStopped(context)
            let bytes = buffer.readableBytesView
            do {
                _ = try decoder.decode(context: context, buffer: &buffer)
            } catch let error as HTTPParserError {
                throw problem(error, buffer)
            }
            notePlace(behind: bytes.dropLast(buffer.readableBytes), hasMore: buffer.readableBytes > 0)
        } while hasStopped && buffer.readableBytes > 0
        return .needMoreData
    }

    func decodeLast(context: ChannelHandlerContext, buffer: inout ByteBuffer, seenEOF: Bool) throws -> DecodingState {
        restartIfStopped(context)
        do {
            return try decoder.decodeLast(context: context, buffer: &buffer, seenEOF: seenEOF)
        } catch let error as HTTPParserError {
            throw problem(error, buffer)
        }
    }

    private func restartIfStopped(_ context: ChannelHandlerContext) {
        guard hasStopped else { return }
        hasStopped = false
        decoder.decoderRemoved(context: context)
        decoder = Self.makeDecoder()
        decoder.decoderAdded(context: context)
    }

    /// The bytes that are left over begin a target, the name of a field, or its value. The bytes before them on the line tell
    /// which.
    ///
    /// - Parameter decoded: The bytes that were decoded before them in the same call.
    private func notePlace(behind decoded: ByteBufferView, hasMore: Bool) {
        guard hasMore else {
            isInTarget = true
            return
        }
        guard let last = decoded.last else { return }
        let line = decoded.reversed().prefix { $0 != UInt8(ascii: "\n") }
        if last == UInt8(ascii: "\n") {
            isInTarget = false
        } else if !line.allSatisfy(\.isBlank) {
            isInTarget = !line.contains(UInt8(ascii: ":"))
        }
    }

    private func problem(_ error: HTTPParserError, _ buffer: ByteBuffer) -> any Error {
        let bytes = buffer.readableBytesView
        let line = bytes.prefix { $0 != UInt8(ascii: "\r") && $0 != UInt8(ascii: "\n") }
        let version = line.suffix(" HTTP/1.1".utf8.count)
        switch error {
        // Bytes behind the last request.
        case .closedConnection:
            return error
        case .headerOverflow:
            let isTarget = isInTarget && !bytes.prefix(ConnectionBounds.targetBytes).contains(UInt8(ascii: "\n"))
            return isTarget ? Problem.targetTooLong : .fieldsTooLarge
        case .invalidMethod where version.starts(with: " HTTP/1.".utf8):
            return Problem(.notImplemented, "This server does not know the method. Use GET or POST.")
        case .invalidVersion where !version.starts(with: " HTTP/".utf8) || version.starts(with: " HTTP/1.".utf8):
            return Problem(.badRequest, "A request line ends with HTTP/1.1 or HTTP/1.0, then CR and LF.")
        default:
            return Problem(error)
        }
    }
}

extension Problem {
    static let targetTooLong = Problem(
        .uriTooLong,
        "The target of the request is over \(ConnectionBounds.targetBytes) bytes. Name fewer topics, or shorter ones.",
        field: "target")
    static let fieldsTooLarge = Problem(
        .requestHeaderFieldsTooLarge,
        "The request has more than \(ConnectionBounds.fieldCount) header fields, or over \(ConnectionBounds.fieldBytes) "
            + "bytes of them. Send fewer or shorter ones.")

    /// The reason why bytes are no request.
    init(_ error: HTTPParserError) {
        switch error {
        case .headerOverflow:
            self = .fieldsTooLarge
        case .invalidVersion:
            self.init(.httpVersionNotSupported, "This server speaks HTTP/1.1 and HTTP/1.0. Use one of them.")
        case .invalidEOFState:
            self.init(.badRequest, "The connection ends before the request does. Send all of it.")
        case .invalidChunkSize:
            self.init(.badRequest, "A chunk of the body has a size that is no number in hex digits.", field: "data")
        case .invalidContentLength, .unexpectedContentLength:
            self.init(
                .badRequest, "The length of the body is unclear. Send one Content-Length, or a Transfer-Encoding.",
                field: "Content-Length")
        default:
            self.init(.badRequest, "What came is not a request of HTTP/1.1 (RFC 9112).")
        }
    }
}
