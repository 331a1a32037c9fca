// SPDX-License-Identifier: Apache-2.0

#if ServiceBus
import CProton
import MartletSupport

/// A value of AMQP 1.0 (part 1, types), as far as messages of Service Bus have them.
indirect enum AMQPValue: Equatable, Sendable {
    case null
    case bool(Bool)
    case integer(Int64)
    case unsigned(UInt64)
    /// Read as ``integer(_:)`` and ``unsigned(_:)``.
    case int32(Int32)
    case uint32(UInt32)
    case real(Double)
    /// In milliseconds since 1970.
    case timestamp(Int64)
    case string(String)
    case symbol(String)
    case binary([UInt8])
    case list([AMQPValue])
    case map([(key: AMQPValue, value: AMQPValue)])
    /// A value of a type that is not read.
    case other

    static func == (a: AMQPValue, b: AMQPValue) -> Bool { a.json == b.json }

    /// How deep values may be nested. What is deeper is not read.
    private static let mostLevels = 16

    // MARK: Reading

    /// Reads the current value.
    init(_ data: OpaquePointer, levels: Int = mostLevels) {
        switch pn_data_type(data) {
        case PN_NULL: self = .null
        case PN_BOOL: self = .bool(pn_data_get_bool(data))
        case PN_UBYTE: self = .unsigned(UInt64(pn_data_get_ubyte(data)))
        case PN_USHORT: self = .unsigned(UInt64(pn_data_get_ushort(data)))
        case PN_UINT: self = .unsigned(UInt64(pn_data_get_uint(data)))
        case PN_ULONG: self = .unsigned(pn_data_get_ulong(data))
        case PN_BYTE: self = .integer(Int64(pn_data_get_byte(data)))
        case PN_SHORT: self = .integer(Int64(pn_data_get_short(data)))
        case PN_INT: self = .integer(Int64(pn_data_get_int(data)))
        case PN_LONG: self = .integer(pn_data_get_long(data))
        case PN_FLOAT: self = .real(Double(pn_data_get_float(data)))
        case PN_DOUBLE: self = .real(pn_data_get_double(data))
        case PN_TIMESTAMP: self = .timestamp(pn_data_get_timestamp(data))
        case PN_STRING: self = String(utf8: pn_data_get_string(data).bytes).map(Self.string) ?? .other
        case PN_SYMBOL: self = String(utf8: pn_data_get_symbol(data).bytes).map(Self.symbol) ?? .other
        case PN_UUID: self = .string(Self.text(of: pn_data_get_uuid(data)))
        case PN_CHAR: self = Unicode.Scalar(pn_data_get_char(data)).map { .string(String($0)) } ?? .other
        case PN_BINARY: self = .binary(Array(pn_data_get_binary(data).bytes))
        case PN_LIST where levels > 0: self = .list(Self.children(of: data, levels: levels))
        case PN_MAP where levels > 0:
            let children = Self.children(of: data, levels: levels)
            self = .map(
                stride(from: 0, to: children.count - 1, by: 2).map { (children[$0], children[$0 + 1]) })
        case PN_DESCRIBED where levels > 0: self = Self.children(of: data, levels: levels).last ?? .null
        default: self = .other
        }
    }

    /// In the usual form of 36 characters.
    private static func text(of uuid: pn_uuid_t) -> String {
        var text = ""
        withUnsafeBytes(of: uuid.bytes) { bytes in
            for (index, byte) in bytes.enumerated() {
                if [4, 6, 8, 10].contains(index) { text += "-" }
                text += byte.hexText
            }
        }
        return text
    }

    private static func children(of data: OpaquePointer, levels: Int) -> [AMQPValue] {
        guard pn_data_enter(data) else { return [] }
        defer { pn_data_exit(data) }
        var children: [AMQPValue] = []
        while pn_data_next(data) { children.append(AMQPValue(data, levels: levels - 1)) }
        return children
    }

    /// Reads the first value; `nil` if there is none.
    static func first(of data: OpaquePointer?) -> AMQPValue? {
        guard let data else { return nil }
        pn_data_rewind(data)
        return pn_data_next(data) ? AMQPValue(data) : nil
    }

    // MARK: Writing

    func put(into data: OpaquePointer) {
        switch self {
        case .null, .other: pn_data_put_null(data)
        case .bool(let value): pn_data_put_bool(data, value)
        case .integer(let value): pn_data_put_long(data, value)
        case .unsigned(let value): pn_data_put_ulong(data, value)
        case .int32(let value): pn_data_put_int(data, value)
        case .uint32(let value): pn_data_put_uint(data, value)
        case .real(let value): pn_data_put_double(data, value)
        case .timestamp(let value): pn_data_put_timestamp(data, value)
        case .string(let text): withBytes(of: text) { _ = pn_data_put_string(data, $0) }
        case .symbol(let text): withBytes(of: text) { _ = pn_data_put_symbol(data, $0) }
        case .binary(let bytes):
            bytes.withUnsafeBytes { _ = pn_data_put_binary(data, pn_bytes_t($0)) }
        case .list(let values):
            pn_data_put_list(data)
            Self.put(values, inside: data)
        case .map(let pairs):
            pn_data_put_map(data)
            Self.put(pairs.flatMap { [$0.key, $0.value] }, inside: data)
        }
    }

    private static func put(_ values: [AMQPValue], inside data: OpaquePointer) {
        pn_data_enter(data)
        for value in values { value.put(into: data) }
        pn_data_exit(data)
    }

    private func withBytes(of text: String, _ body: (pn_bytes_t) -> Void) {
        var text = text
        text.withUTF8 { body(pn_bytes_t(UnsafeRawBufferPointer($0))) }
    }

    // MARK: Looking at it

    /// The text of a string or a symbol.
    var text: String? {
        switch self {
        case .string(let text), .symbol(let text): text
        default: nil
        }
    }

    var number: Int64? {
        switch self {
        case .integer(let number), .timestamp(let number): number
        case .unsigned(let number): Int64(exactly: number)
        case .int32(let number): Int64(number)
        case .uint32(let number): Int64(number)
        default: nil
        }
    }

    /// The entries of a map whose keys are text; the last one counts if a key occurs twice.
    var fields: [String: AMQPValue] {
        guard case .map(let pairs) = self else { return [:] }
        var fields: [String: AMQPValue] = [:]
        for (key, value) in pairs {
            if let name = key.text { fields[name] = value }
        }
        return fields
    }

    /// The value as JSON. Bytes are Base64.
    var json: String {
        switch self {
        case .null, .other: "null"
        case .bool(let value): value ? "true" : "false"
        case .integer(let value), .timestamp(let value): "\(value)"
        case .unsigned(let value): "\(value)"
        case .int32(let value): "\(value)"
        case .uint32(let value): "\(value)"
        case .real(let value): value.isFinite ? "\(value)" : "null"
        case .string(let text), .symbol(let text): text.jsonQuoted
        case .binary(let bytes): bytes.withUnsafeBytes { Base64.text($0).jsonQuoted }
        case .list(let values): "[" + values.map(\.json).joined(separator: ",") + "]"
        case .map(let pairs):
            "{" + pairs.map { "\(($0.key.text ?? $0.key.json).jsonQuoted):\($0.value.json)" }.joined(separator: ",")
                + "}"
        }
    }
}

extension pn_bytes_t {
    /// Valid as long as what they are part of.
    var bytes: UnsafeRawBufferPointer { UnsafeRawBufferPointer(start: start, count: size) }

    init(_ bytes: UnsafeRawBufferPointer) {
        self.init(size: bytes.count, start: bytes.baseAddress?.assumingMemoryBound(to: CChar.self))
    }
}
#endif
