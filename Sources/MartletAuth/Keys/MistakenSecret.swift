// SPDX-License-Identifier: Apache-2.0

import MartletHTTP
import MartletSupport

/// Recognises texts that could be used as a secret and must not be: public keys, locations of keys, and examples.
///
/// It looks at the text only. It is wrong about a random secret (32 bytes or more as base64, base64url or hex) less than
/// once in ten thousand, except in one case: see ``RSAModulus``.
struct MistakenSecret {
    private enum Kind {
        case known
        case place
        case example
    }

    private let kind: Kind
    /// "a URL".
    private let name: String

    /// What is wrong and what to do. It does not contain any part of the text.
    var message: String {
        switch kind {
        case .known:
            "The key looks like \(name). Others may have it, and could sign tokens if it were a secret. Give a secret, "
                + "or a key in PEM; a key set is given as one."
        case .place:
            "The key looks like \(name), and not like a key. Give the key itself, or file: and the path of its file; "
                + "a key set is given as one."
        case .example:
            "The key is a published example. openssl rand -hex 32 makes a secret."
        }
    }

    /// `nil`: the text may be a secret.
    ///
    /// - Parameter text: Neither PEM nor DER of a usable key.
    init?(of text: String) {
        let core = Self.core(of: text)
        let lowercased = core.asciiLowercased
        let letters = lowercased.utf8.filter { (UInt8(ascii: "a")...UInt8(ascii: "z")).contains($0) }
        if Self.isPEM(letters) {
            self.init(.known, "PEM that is damaged, encrypted, or of a kind that cannot be used")
        } else if Self.isSSH(core, lowercased) {
            self.init(.known, "a key of SSH")
        } else if Self.isJSON(core) {
            self.init(.known, "a JSON Web Key, or other JSON")
        } else if Self.isXML(core, lowercased) {
            self.init(.known, "XML")
        } else if Self.isToken(core) {
            self.init(.known, "a token")
        } else if Self.isOpenSSLText(lowercased) {
            self.init(.known, "a key as openssl prints it")
        } else if KeyEncoding.readings(of: text).contains(where: {
            PublicKeyBytes.isKey($0) || PublicKeyBytes.isPoint($0)
        })
            || KeyEncoding.runs(in: text).contains(where: PublicKeyBytes.hasKeyPart)
        {
            self.init(.known, "a key in DER, of a kind that cannot be used or damaged")
        } else if RSAModulus.isOne(core) {
            self.init(.known, "the modulus (n) of an RSA key")
        } else if Self.isURL(lowercased) {
            self.init(.place, "a URL")
        } else if Self.isPath(core) {
            self.init(.place, "the path of a file")
        } else if Self.isReference(core) {
            self.init(.place, "a variable or a command that was not replaced")
        } else if Self.examples.contains(where: letters.contains) {
            self.init(.example, "an example")
        } else {
            return nil
        }
    }

    private init(_ kind: Kind, _ name: String) {
        self.kind = kind
        self.name = name
    }

    /// The text without white space, byte order marks and quotes around it.
    static func core(of text: String) -> String {
        func isAround(_ scalar: Unicode.Scalar) -> Bool {
            scalar.properties.isWhitespace
                || "\u{FEFF}\u{200B}\u{2060}\"'\u{201C}\u{201D}\u{2018}\u{2019}"
                    .unicodeScalars.contains(scalar)
        }
        let scalars = text.unicodeScalars.drop(while: isAround).reversed().drop(while: isAround).reversed()
        return String(String.UnicodeScalarView(scalars))
    }

    // MARK: - Public keys

    /// - Parameter letters: Letters only, so that dashes, spaces, line ends and escapes do not matter.
    private static func isPEM(_ letters: [UInt8]) -> Bool {
        let kinds = [
            "", "rsa", "ec", "dsa", "dh", "x", "ssh", "openssh", "encrypted", "trusted", "new", "any", "pgp",
        ]
        let labels = ["publickey", "privatekey", "certificate", "ecparameters"].filter { letters.contains($0.utf8) }
        return ["begin", "end"].contains { mark in
            kinds.contains { kind in labels.contains { letters.contains("\(mark)\(kind)\($0)".utf8) } }
        }
    }

    private static func isSSH(_ core: String, _ lowercased: String) -> Bool {
        let beginnings = ["ssh-", "ecdsa-sha2-", "sk-ssh-", "sk-ecdsa-", "putty-user-key-file"]
        // The name of the algorithm behind its length, in base64.
        let names = ["AAAAB3NzaC1", "AAAAC3NzaC1", "AAAAE2VjZHNh", "AAAAGnNrLXNz", "AAAAInNrLWVj"]
        return beginnings.contains { lowercased.startsExactly(with: $0) }
            || names.contains { core.utf8.contains($0.utf8) }
    }

    private static func isJSON(_ core: String) -> Bool {
        guard core.startsExactly(with: "{") || core.startsExactly(with: "[") else { return false }
        if (try? JSONValue(parsing: core.utf8)) != nil { return true }
        return ["kty", "keys\"", "keys\\\"", "keys'"].contains { core.utf8.contains($0.utf8) }
    }

    private static func isXML(_ core: String, _ lowercased: String) -> Bool {
        core.startsExactly(with: "<") && core.endsExactly(with: ">")
            || ["<rsakeyvalue", "<modulus", "<?xml", "<html"].contains { lowercased.utf8.contains($0.utf8) }
    }

    private static func isToken(_ core: String) -> Bool {
        let parts = core.splitExactly(at: UInt8(ascii: "."))
        guard parts.count == 3 || parts.count == 5, let header = Base64URL.decode(Array(parts[0].utf8)) else {
            return false
        }
        return (try? JSONValue(parsing: header))?["alg"] != nil
    }

    private static func isOpenSSLText(_ lowercased: String) -> Bool {
        ["modulus", "public-key:", "rsa public-key:", "private-key:", "rsa private-key:", "certificate:"]
            .contains { lowercased.startsExactly(with: $0) }
    }

    // MARK: - Places

    /// A URL, a URI of a store of secrets, or `file:` in another spelling.
    private static func isURL(_ lowercased: String) -> Bool {
        if let (scheme, behind) = lowercased.cutExactly(at: UInt8(ascii: ":")), behind.startsExactly(with: "//"),
            !scheme.isEmpty, scheme.utf8.allSatisfy({ $0.isUnreserved || $0 == UInt8(ascii: "+") })
        {
            return true
        }
        let schemes = ["file:", "file=", "file /", "env:", "vault:", "arn:", "op:", "ssm:", "data:"]
        return schemes.contains { lowercased.startsExactly(with: $0) }
    }

    private static func isPath(_ core: String) -> Bool {
        let path = core.cutting(prefix: "@") ?? core[...]
        for start in ["./", "../", "~/", ".\\", "..\\", "\\\\"] where path.startsExactly(with: start) { return true }
        let bytes = Array(path.utf8)
        guard bytes.count > 2, bytes.allSatisfy({ $0.isUnreserved || "/\\ @+:()".utf8.contains($0) }) else {
            return false
        }
        if bytes[1] == UInt8(ascii: ":"), bytes[2] == UInt8(ascii: "\\") || bytes[2] == UInt8(ascii: "/") {
            return true
        }
        if extensions.contains(where: { path.asciiLowercased.endsExactly(with: $0) }) { return true }
        guard bytes[0] == UInt8(ascii: "/") else { return false }
        // A text that begins with a slash may be base64, which has none of these characters, and hardly ever a word of
        // lower-case letters that ends at a slash.
        if bytes.contains(where: { "._-~ @".utf8.contains($0) }) { return true }
        let first = bytes.dropFirst().prefix { (UInt8(ascii: "a")...UInt8(ascii: "z")).contains($0) }
        return first.count >= 3 && first.endIndex < bytes.endIndex && bytes[first.endIndex] == UInt8(ascii: "/")
    }

    private static let extensions = [
        ".pem", ".key", ".pub", ".crt", ".cer", ".der", ".p8", ".p12", ".pfx", ".jwk", ".jwks", ".json", ".txt",
        ".secret", ".env",
    ]

    /// Text that a shell, a template or a pipeline should have replaced: `$(…)`, `${…}`, `$NAME`, `{{ … }}`, `%NAME%`.
    private static func isReference(_ core: String) -> Bool {
        if core.startsExactly(with: "$(") || core.startsExactly(with: "<(") { return true }
        for (start, end) in [("`", "`"), ("{{", "}}"), ("#{", "}")]
        where core.utf8.count > 2 && core.startsExactly(with: start) && core.endsExactly(with: end) { return true }
        if let name = core.cutting(prefix: "$"), name.isName { return true }
        if let name = core.cutting(prefix: "%"), name.endsExactly(with: "%"), name.dropLast().isName { return true }
        guard let start = core.utf8.firstRange(of: "${".utf8),
            let (inside, _) = core[start.upperBound...].cutExactly(at: UInt8(ascii: "}"))
        else { return false }
        return inside.utf8.allSatisfy { $0.isUnreserved || ":?+=/{ ".utf8.contains($0) }
            && inside.utf8.first.map { !$0.isDigit } ?? false
    }

    // MARK: - Examples

    /// Parts of the examples of hubs, tools and templates, letters only.
    private static let examples = [
        "changeme", "changethis", "replaceme", "replacethis", "yoursecret", "yourbitsecret", "atleastbitslong",
        "placeholder",
    ].map { Array($0.utf8) }
}

extension Substring {
    /// Whether this is the name of a variable, also in a namespace: `KEY`, `env:KEY`, `secrets.KEY`. Names without a
    /// namespace have one case only, so that few random texts are names.
    fileprivate var isName: Bool {
        guard let first = utf8.first, !first.isDigit,
            utf8.allSatisfy({ $0.isUnreserved && $0 != UInt8(ascii: "~") || $0 == UInt8(ascii: ":") })
        else { return false }
        let isQualified = containsExactly(UInt8(ascii: ":")) || containsExactly(UInt8(ascii: "."))
        let hasCapitals = utf8.contains { (UInt8(ascii: "A")...UInt8(ascii: "Z")).contains($0) }
        return isQualified || !hasCapitals || !utf8.contains { (UInt8(ascii: "a")...UInt8(ascii: "z")).contains($0) }
    }
}
