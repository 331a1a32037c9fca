// SPDX-License-Identifier: Apache-2.0

import Configuration
import MartletHTTP
import MartletSupport

#if canImport(FoundationEssentials)
import FoundationEssentials
#else
import Foundation
#endif

/// The settings file: one JSON object from option names to strings, numbers and booleans. The value of `retention` may be
/// an array, too.
///
/// A value is read as its text would be on the command line, so `15`, `"15"` and `"15s"` are the same duration.
struct SettingsFile: FileConfigSnapshot {
    struct ParsingOptions: FileParsingOptions {
        /// The path of the file, for errors.
        var path = ""

        static var `default`: Self { Self() }
    }

    let providerName: String
    private let texts: [String: String]

    /// Reads the file at `path`.
    ///
    /// - Throws: ``SettingsError`` if the file cannot be read, is malformed or has an unknown key.
    static func provider(path: String) async throws(SettingsError) -> FileProvider<SettingsFile> {
        do {
            let location = InMemoryProvider(values: ["filePath": ConfigValue(.string(path), isSecret: false)])
            return try await FileProvider(
                parsingOptions: ParsingOptions(path: path),
                config: ConfigReader(provider: location)
            )
        } catch let error as SettingsError {
            throw error
        } catch {
            let problem = FileManager.default.fileExists(atPath: path) ? "cannot be read" : "does not exist"
            throw SettingsError("settings file \"\(path)\" \(problem); name a readable JSON file with --config")
        }
    }

    init(data: RawSpan, providerName: String, parsingOptions: ParsingOptions) throws {
        let path = parsingOptions.path
        let values = try Self.members(of: data.withUnsafeBytes { Array($0) }, path: path)
        let names = HubSettings.table.map(\.name).filter { $0 != HubSettings.fileOption }
        let unknown = values.keys.sorted().first { key in !names.contains { $0.isExactly(key) } }
        if let unknown {
            throw SettingsError(
                "unknown key \(unknown.debugDescription) in \(path); use one of \(names.joined(separator: ", "))"
            )
        }
        var texts: [String: String] = [:]
        for (name, value) in values.sorted(by: { $0.key < $1.key }) {
            guard let text = name.isExactly(Self.table) ? value.arrayText ?? value.text : value.text else {
                throw SettingsError("\(name) in \(path): give a string, a number, true or false")
            }
            texts[name] = text
        }
        self.providerName = providerName
        self.texts = texts
    }

    /// The setting whose value may be an array.
    private static let table = "retention"

    func value(forKey key: AbsoluteConfigKey, type: ConfigType) -> LookupResult {
        let name = key.components.joined(separator: ".")
        return LookupResult(
            encodedKey: name,
            value: texts[name].map { ConfigValue(.string($0), isSecret: false) }
        )
    }

    var description: String { "\(providerName)[\(texts.count) values]" }
    var debugDescription: String { description }

    private static func members(of file: [UInt8], path: String) throws(SettingsError) -> [String: JSONValue] {
        // Some editors on Windows begin a file with a byte order mark.
        let mark: [UInt8] = [0xEF, 0xBB, 0xBF]
        let text = file.starts(with: mark) ? file.dropFirst(mark.count) : file[...]
        do {
            if case .object(let members) = try JSONValue(parsing: text) { return members }
        } catch {
            if let name = error.repeatedMember {
                let line = text.prefix(error.offset).count { $0 == 0x0A } + 1
                throw SettingsError(
                    "\(name.debugDescription) is in \(path) twice, the second time in line \(line); leave one out")
            }
        }
        throw SettingsError("settings file \"\(path)\" is not a JSON object; write it like {\"port\": 8080}")
    }
}

extension JSONValue {
    /// The text of a value; `nil` for null, arrays and objects.
    fileprivate var text: String? {
        switch self {
        case .string(let text): text
        case .number(let text): wholeNumber.map { String($0) } ?? text
        case .bool(let value): String(value)
        case .null, .array, .object: nil
        }
    }
}
