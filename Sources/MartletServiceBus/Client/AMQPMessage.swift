// SPDX-License-Identifier: Apache-2.0

#if ServiceBus
import CProton
import MartletSupport

/// A message, as far as it is written or read here.
struct AMQPMessage: Sendable {
    /// What a message carries (AMQP 1.0 part 3, section 3.2.6 to 3.2.8).
    enum Body: Sendable {
        case data([UInt8])
        case value(AMQPValue)
        case sequence([AMQPValue])
    }

    var id: String?
    var subject: String?
    var replyTo: String?
    var correlationID: String?
    var properties: [(name: String, value: AMQPValue)] = []
    var body = Body.data([])
    /// Made by the broker.
    var annotations: [String: AMQPValue] = [:]
    /// Whether the broker may have delivered it before.
    var mayBeRepeated = false

    /// The value of a property that is text.
    func text(_ name: String) -> String? { properties.last { $0.name.isExactly(name) }?.value.text }

    func number(_ name: String) -> Int64? { properties.last { $0.name.isExactly(name) }?.value.number }

    /// The message in the encoding of AMQP; `nil` if there is no memory.
    func encoded() -> [UInt8]? {
        guard let message = pn_message() else { return nil }
        defer { pn_message_free(message) }
        pn_message_set_durable(message, true)
        if let id { AMQPValue.string(id).put(into: pn_message_id(message)) }
        if let subject { pn_message_set_subject(message, subject) }
        if let replyTo { pn_message_set_reply_to(message, replyTo) }
        if !properties.isEmpty {
            let pairs = properties.map { (key: AMQPValue.string($0.name), value: $0.value) }
            AMQPValue.map(pairs).put(into: pn_message_properties(message))
        }
        switch body {
        case .data(let bytes):
            pn_message_set_inferred(message, true)
            AMQPValue.binary(bytes).put(into: pn_message_body(message))
        case .value(let value):
            pn_message_set_inferred(message, false)
            value.put(into: pn_message_body(message))
        case .sequence(let values):
            pn_message_set_inferred(message, true)
            AMQPValue.list(values).put(into: pn_message_body(message))
        }
        var size = 1024 + byteCount
        while size <= Self.mostBytes {
            var length = size
            var code: CInt = 0
            let bytes = [UInt8](unsafeUninitializedCapacity: size) { buffer, count in
                code = pn_message_encode(
                    message, UnsafeMutableRawPointer(buffer.baseAddress)?.assumingMemoryBound(to: CChar.self), &length)
                count = code == 0 ? length : 0
            }
            if code == 0 { return bytes }
            guard code == PN_OVERFLOW else { return nil }
            size *= 2
        }
        return nil
    }

    /// The largest message that is written or read. Larger ones count as unreadable.
    static let mostBytes = 8 * 1024 * 1024

    private var byteCount: Int {
        let bytes = if case .data(let bytes) = body { bytes.count } else { 0 }
        return properties.reduce(bytes + 256) { $0 + 16 + $1.name.utf8.count + ($1.value.text?.utf8.count ?? 16) }
    }

    init(_ body: Body = .data([])) { self.body = body }

    /// The message with this encoding; `nil` if it is none.
    init?(decoding bytes: [UInt8]) {
        // Proton ends the process if there is nothing.
        guard !bytes.isEmpty, let message = pn_message() else { return nil }
        defer { pn_message_free(message) }
        let code = bytes.withUnsafeBytes { bytes in
            pn_message_decode(message, bytes.baseAddress?.assumingMemoryBound(to: CChar.self), bytes.count)
        }
        guard code == 0 else { return nil }
        id = Self.identifier(pn_message_id(message))
        correlationID = Self.identifier(pn_message_correlation_id(message))
        subject = pn_message_get_subject(message).flatMap { String(validatingCString: $0) }
        mayBeRepeated = pn_message_get_delivery_count(message) > 0 || !pn_message_is_first_acquirer(message)
        if case .map(let pairs)? = AMQPValue.first(of: pn_message_properties(message)) {
            properties = pairs.compactMap { pair in pair.key.text.map { ($0, pair.value) } }
        }
        annotations = AMQPValue.first(of: pn_message_annotations(message))?.fields ?? [:]
        let isInferred = pn_message_is_inferred(message)
        switch AMQPValue.first(of: pn_message_body(message)) {
        case .binary(let bytes) where isInferred: body = .data(bytes)
        case .list(let values) where isInferred: body = .sequence(values)
        case let value?: body = .value(value)
        case nil: body = .data([])
        }
    }

    /// The text of an id, which may be of several types.
    private static func identifier(_ data: OpaquePointer?) -> String? {
        switch AMQPValue.first(of: data) {
        case nil, .null, .other: nil
        case .string(let text), .symbol(let text): text
        case let value?: value.json
        }
    }
}
#endif
