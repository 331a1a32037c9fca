// SPDX-License-Identifier: Apache-2.0

import HTTPTypes
import Hummingbird
import Martlet
import MartletSupport

extension Hub {
    /// Counts an answer that refuses a request, by its status and its reason.
    func countRefusal(_ error: any HTTPResponseError) {
        refused(status: error.status.code, reason: error.refusalReason)
    }
}

extension HTTPResponseError {
    /// Why a request is refused, in a word of this program: of the hub, or otherwise of the status.
    var refusalReason: String {
        let reason = (self as? Problem)?.reason ?? (self as? MartletError)?.code.description
        return reason?.inSnakeCase ?? status.refusalReason
    }
}

extension HTTPResponse.Status {
    fileprivate var refusalReason: String {
        switch code {
        case 400: "bad_request"
        case 401: "unauthorized"
        case 403: "forbidden"
        case 404: "not_found"
        case 405: "method_not_allowed"
        case 408: "timeout"
        case 409: "conflict"
        case 413: "too_large"
        case 414: "target_too_long"
        case 415: "unsupported_media_type"
        case 422: "unprocessable"
        case 429: "too_many_requests"
        case 431: "headers_too_large"
        case 503: "unavailable"
        case 507: "storage_full"
        case 500...599: "server_error"
        default: "other"
        }
    }
}

extension String {
    /// `topicEnded` becomes `topic_ended`, and `invalidID` becomes `invalid_id`.
    fileprivate var inSnakeCase: String {
        var words: [UInt8] = []
        var wasUpper = true
        for byte in utf8 {
            let isUpper = byte != byte.asciiLowercased
            if isUpper, !wasUpper { words.append(UInt8(ascii: "_")) }
            words.append(byte.asciiLowercased)
            wasUpper = isUpper
        }
        return String(decoding: words, as: UTF8.self)
    }
}
