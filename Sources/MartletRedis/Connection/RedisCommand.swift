// SPDX-License-Identifier: Apache-2.0

#if Redis
import CHiredis

/// A command: its words, which may be any bytes, one after the other.
struct RedisCommand {
    private(set) var bytes: [UInt8] = []
    /// Where each word ends.
    private(set) var ends: [Int] = []

    init(_ words: String...) {
        for word in words { append(word) }
    }

    mutating func append(_ word: String) {
        bytes += word.utf8
        ends.append(bytes.count)
    }

    mutating func append(_ word: [UInt8]) {
        bytes += word
        ends.append(bytes.count)
    }

    mutating func append(_ number: some BinaryInteger) { append(String(number)) }
}

/// An answer of the server. It is valid only within the closure that receives it.
struct RedisReply {
    private let pointer: UnsafePointer<redisReply>

    /// - Parameter pointer: It must outlive the reply.
    init(_ pointer: UnsafePointer<redisReply>) { self.pointer = pointer }

    private var type: Int32 { pointer.pointee.type }

    /// The message of an error.
    var error: String? {
        type == REDIS_REPLY_ERROR ? bytes.map { String(decoding: $0, as: UTF8.self) } : nil
    }

    /// A text; `nil` for any other answer, and for bytes that are not UTF-8.
    var text: String? {
        guard type == REDIS_REPLY_STRING || type == REDIS_REPLY_STATUS else { return nil }
        return bytes.flatMap { String(validating: $0, as: UTF8.self) }
    }

    /// The bytes of a text; `nil` for any other answer.
    var data: [UInt8]? { type == REDIS_REPLY_STRING ? bytes.map { Array($0) } : nil }

    var integer: Int? { type == REDIS_REPLY_INTEGER ? Int(pointer.pointee.integer) : nil }

    /// The elements of an array; none for any other answer.
    var elements: Elements { Elements(pointer: pointer) }

    /// Owned by the library, which frees them with the reply.
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
