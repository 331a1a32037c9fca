// SPDX-License-Identifier: Apache-2.0

import MartletSupport

/// The environment variables of the Mercure reference hub, so that a deployment can switch by changing its image.
enum ReferenceEnvironment {
    struct Value: Equatable {
        var text: String
        /// The variable or directive that sets it, for errors.
        var source: String
    }

    private static let variables = [
        "MERCURE_PUBLISHER_JWT_KEY": "publisher-key",
        "MERCURE_PUBLISHER_JWT_ALG": "publisher-alg",
        "MERCURE_SUBSCRIBER_JWT_KEY": "subscriber-key",
        "MERCURE_SUBSCRIBER_JWT_ALG": "subscriber-alg",
    ]
    private static let directives = "MERCURE_EXTRA_DIRECTIVES"
    private static let flags = ["anonymous", "subscriptions"]
    private static let options = [
        "cors_origins": "cors-origin", "publish_origins": "publish-origin", "cookie_name": "cookie-name",
        "heartbeat": "heartbeat", "publisher_jwks_url": "publisher-jwks", "subscriber_jwks_url": "subscriber-jwks",
    ]

    /// The settings in the environment, by the names of this hub's options, and the directives that it does not know.
    static func read(_ environment: [String: String]) -> (values: [String: Value], ignored: [String]) {
        var values: [String: Value] = [:]
        var ignored: [String] = []
        for (variable, name) in variables {
            if let text = environment[variable], !text.isEmpty { values[name] = Value(text: text, source: variable) }
        }
        for line in (environment[directives] ?? "").words(between: "\r\n") {
            let words = line.words(between: " \t")
            guard let directive = words.first.map(String.init), !directive.startsExactly(with: "#") else { continue }
            let text = words.dropFirst().joined(separator: " ")
            let source = "\(directive) in \(directives)"
            if flags.contains(directive) {
                values[directive] = Value(text: "true", source: source)
            } else if let name = options[directive] {
                values[name] = Value(text: text, source: source)
            } else {
                ignored.append(directive)
            }
        }
        return (values, ignored)
    }
}
