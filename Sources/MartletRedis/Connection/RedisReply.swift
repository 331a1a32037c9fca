// SPDX-License-Identifier: Apache-2.0

#if Redis
import CHiredis

/// What the server has answered, for as long as the closure runs that it was given to.
struct RedisReply {
    private let pointer: UnsafePointer<redisReply>

    /// - Parameter pointer: It must outlive the reply.
    init(_ pointer: UnsafePointer<redisReply>) { self.pointer = pointer }

    private var type: Int32 { pointer.pointee.type }

    /// The message of an error.
    var error: String? { type == REDIS_REPLY_ERROR ? lossyText : nil }

    var isNil: Bool { type == REDIS_REPLY_NIL }

    /// A text; `nil` where it is none, or is not UTF-8.
    var text: String? {
        guard type == REDIS_REPLY_STRING || type == REDIS_REPLY_STATUS else { return nil }
        return bytes.flatMap { String(validating: $0, as: UTF8.self) }
    }

    /// The bytes of a text, whatever they are; `nil` where it is none.
    var data: [UInt8]? { type == REDIS_REPLY_STRING ? bytes.map { Array($0) } : nil }

    var integer: Int? { type == REDIS_REPLY_INTEGER ? Int(pointer.pointee.integer) : nil }

    /// The elements of an array; none where it is something else.
    var elements: Elements { Elements(pointer: pointer) }

    private var lossyText: String? { bytes.map { String(decoding: $0, as: UTF8.self) } }

    /// The library says where they are and how many, and frees them with the reply.
    private var bytes: UnsafeRawBufferPointer? {
        pointer.pointee.str.map { UnsafeRawBufferPointer(start: $0, count: pointer.pointee.len) }
    }

    struct Elements: RandomAccessCollection {
        fileprivate let pointer: UnsafePointer<redisReply>

        var startIndex: Int { 0 }
        var endIndex: Int { pointer.pointee.type == REDIS_REPLY_ARRAY ? pointer.pointee.elements : 0 }

        subscript(index: Int) -> RedisReply {
            precondition(index < endIndex, "there is no such element")
            guard let element = pointer.pointee.element[index] else { preconditionFailure("an element is missing") }
            return RedisReply(element)
        }
    }
}
#endif
