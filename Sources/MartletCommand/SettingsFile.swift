// SPDX-License-Identifier: Apache-2.0

import Configuration

#if canImport(FoundationEssentials)
import FoundationEssentials
#else
import Foundation
#endif

/// The settings file: one JSON object from option names to strings, numbers and booleans.
///
/// A value counts as the text it is written as, so that `15`, `"15"` and `"15s"` are read as on the command line.
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
    /// - Throws: ``SettingsError`` if it cannot be read, is malformed or has an unknown key.
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
        let data = data.withUnsafeBytes { Data($0) }
        guard let values = try? JSONDecoder().decode([String: Scalar].self, from: data) else {
            throw SettingsError("settings file \"\(path)\" is not a JSON object; write it like {\"port\": 8080}")
        }
        let names = ServeSettings.table.map(\.name).filter { $0 != ServeSettings.fileSetting }
        if let unknown = values.keys.sorted().first(where: { !names.contains($0) }) {
            throw SettingsError(
                "unknown key \(unknown.debugDescription) in \(path); use one of \(names.joined(separator: ", "))"
            )
        }
        if let unfit = values.keys.sorted().first(where: { values[$0]?.text == nil }) {
            throw SettingsError("\(unfit) in \(path): give a string, a number, true or false")
        }
        self.providerName = providerName
        texts = values.compactMapValues(\.text)
    }

    func value(forKey key: AbsoluteConfigKey, type: ConfigType) -> LookupResult {
        let name = key.components.joined(separator: ".")
        return LookupResult(
            encodedKey: name,
            value: texts[name].map { ConfigValue(.string($0), isSecret: false) }
        )
    }

    var description: String { "\(providerName)[\(texts.count) values]" }
    var debugDescription: String { description }

    /// A JSON value as text; nil for null, arrays and objects.
    private struct Scalar: Decodable {
        let text: String?

        init(from decoder: any Decoder) throws {
            let value = try decoder.singleValueContainer()
            text =
                if let int = try? value.decode(Int.self) {
                    String(int)
                } else if let double = try? value.decode(Double.self) {
                    String(double)
                } else if let bool = try? value.decode(Bool.self) {
                    String(bool)
                } else {
                    try? value.decode(String.self)
                }
        }
    }
}
