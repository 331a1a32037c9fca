// SPDX-License-Identifier: Apache-2.0

import Foundation
public import HTTPTypes
public import Hummingbird
package import Logging
public import Martlet
import MartletSupport
import NIOCore
import NIOHTTP1

/// The reason why a request is refused: a problem document (RFC 9457) that names the field at fault.
public struct Problem: Error, Sendable, HTTPResponseError {
    /// The status of the answer.
    public var status: HTTPResponse.Status
    /// What is wrong and what to do.
    public var detail: String
    /// The part of the request at fault, as the client wrote it.
    public var field: String?
    /// The line of a batch at fault, counted from 1.
    public var line: Int?
    /// Additional headers of the answer.
    public var headers: HTTPFields
    /// How much of a live upload was accepted; `nil` for any other request.
    package var accepted: LiveProgress?
    /// The limit of the client that the request is above.
    package var limit: String?
    /// The reason in the metrics, where the status does not say enough; see ``refusalReason``.
    package var reason: String?

    public init(
        _ status: HTTPResponse.Status, _ detail: String, field: String? = nil, line: Int? = nil,
        headers: HTTPFields = [:]
    ) {
        self.status = status
        self.detail = detail
        self.field = field
        self.line = line
        self.headers = headers
    }

    /// A refusal by the hub.
    init(_ error: MartletError, line: Int? = nil) {
        switch error.code {
        case .reservedTopic:
            self.init(.forbidden, error.message, field: error.field, line: line)
        case .tooLarge:
            self.init(.contentTooLarge, error.message, field: error.field, line: line)
        case .keyReused:
            self.init(.unprocessableContent, error.message, field: error.field)
        case .topicEnded, .writerReplaced:
            self.init(.conflict, error.message, field: error.field, line: line)
        case .topicExpired:
            self.init(.notFound, error.message, field: error.field)
        case .rightRevoked:
            self.init(.forbidden, error.message)
        case .storageFull:
            self.init(.insufficientStorage, error.message)
        case .notRunning, .overloaded, .storageFailed:
            self.init(.serviceUnavailable, error.message, headers: [.retryAfter: "1"])
        default:
            self.init(.badRequest, error.message, field: error.field, line: line)
        }
        reason = error.code.description
    }

    /// The answer. It does not depend on the request.
    public func response(from request: Request, context: some RequestContext) -> Response { response() }

    func response() -> Response {
        Response(status: status, headers: allHeaders, body: ResponseBody(byteBuffer: document))
    }

    /// ``headers``, and the headers of every problem document.
    var allHeaders: HTTPFields {
        var headers = headers
        headers[.contentType] = "application/problem+json"
        headers[.xContentTypeOptions] = "nosniff"
        return headers
    }

    /// The phrase of the status (RFC 9457 section 4.2.1), even if the status was made from its number alone.
    private var title: String {
        if !status.reasonPhrase.isEmpty { return status.reasonPhrase }
        let phrase = HTTPResponseStatus(statusCode: status.code).reasonPhrase
        return phrase.isEmpty ? "Status \(status.code)" : phrase
    }

    var document: ByteBuffer {
        let members = Members(
            title: title, status: status.code, detail: detail, field: field, line: line, count: accepted?.count,
            lastEventID: accepted?.lastEventID, limit: limit)
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        guard let json = try? encoder.encode(members) else { return ByteBuffer(string: "{}") }
        return ByteBuffer(bytes: json + [0x0A])
    }

    private struct Members: Encodable {
        var type = "about:blank"
        var title: String
        var status: Int
        var detail: String
        var field: String?
        var line: Int?
        var count: Int?
        var lastEventID: String?
        var limit: String?
    }
}

/// Answers unknown routes and unexpected errors with problem documents.
public struct ProblemMiddleware<Context: RequestContext>: RouterMiddleware {
    private let hub: Hub?

    public init() { hub = nil }

    /// - Parameter hub: The refusals are among the metrics of this hub.
    public init(countingFor hub: Hub) { self.hub = hub }

    /// Turns the errors of the next responder into problems.
    public func handle(
        _ request: Request, context: Context, next: (Request, Context) async throws -> Response
    ) async throws -> Response {
        do {
            return try await answer(request, context: context, next: next)
        } catch let error as any HTTPResponseError {
            hub?.countRefusal(error)
            throw error
        }
    }

    private func answer(
        _ request: Request, context: Context, next: (Request, Context) async throws -> Response
    ) async throws -> Response {
        do {
            return try await next(request, context)
        } catch let error as HTTPError where error.status == .notFound {
            if request.method == .options, request.head.path?.isExactly("*") == true {
                return Response(
                    status: .noContent,
                    headers: [.allow: "DELETE, GET, HEAD, OPTIONS, POST", .xContentTypeOptions: "nosniff"])
            }
            guard HTTPRequest.Method.known.contains(request.method) else {
                throw Problem(.notImplemented, "\(request.method.rawValue) is not a method that this server knows.")
            }
            throw Problem(.notFound, "There is nothing at \(HubRequest(request).path).")
        } catch let error as HTTPError {
            throw Problem(error.status, error.body ?? error.status.reasonPhrase, headers: error.headers)
        } catch let error as any HTTPResponseError {
            throw error
        } catch is CancellationError {
            throw CancellationError()
        } catch {
            let failed = HubRequest(request)
            failed.tracing(context.logger).error(
                "A request failed.", metadata: ["error": "\(error)", "path": "\(failed.path)"])
            throw Problem(.internalServerError, "Something went wrong here. The log of the server says what.")
        }
    }
}

extension HTTPResponse.Status {
    /// RFC 4918 section 11.5.
    fileprivate static let insufficientStorage = Self(code: 507, reasonPhrase: "Insufficient Storage")
}

/// Becomes a problem document, wherever it is thrown.
extension MartletError: HTTPResponseError {
    public var status: HTTPResponse.Status { Problem(self).status }

    public func response(from request: Request, context: some RequestContext) -> Response { Problem(self).response() }
}

/// Calls the hub. Errors of its log that are no answers, which are not the client's fault, are logged and become 503.
package func unlessUnavailable<Value>(
    _ logger: Logger, _ body: () async throws -> sending Value
) async throws -> sending Value {
    do {
        return try await body()
    } catch let error as any HTTPResponseError {
        throw error
    } catch is CancellationError {
        throw CancellationError()
    } catch {
        logger.error("The log does not answer.", metadata: ["error": "\(error)"])
        throw Problem(
            .serviceUnavailable, "The log does not answer. Try again later.", headers: [.retryAfter: "1"])
    }
}
