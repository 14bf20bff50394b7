internal import Bytes
internal import Identity

/// Why a secret for signatures is unusable; for the option's name in front.
public struct WebhookSecretProblem: Error, Equatable, CustomStringConvertible {
    public let description: String
}

/// Signs requests as Standard Webhooks defines it (https://www.standardwebhooks.com).
///
/// With several secrets a request has one signature for each, so that a receiver can change its
/// secret at any time between two reloads of the sender.
public struct WebhookSignature: Sendable {
    private static let prefix = "whsec_"
    private let keys: [HMACKey]

    /// - Parameter text: one secret in each line, `whsec_` and 24 to 64 bytes in base64.
    public init(secrets text: [UInt8]) throws(WebhookSecretProblem) {
        let lines = String(decoding: text, as: UTF8.self).split(whereSeparator: \.isNewline)
        guard !lines.isEmpty else { throw WebhookSecretProblem(description: "has no secret") }
        var keys: [HMACKey] = []
        for line in lines {
            guard line.hasPrefix(Self.prefix),
                let bytes = Base64Text.decode(line.dropFirst(Self.prefix.count)),
                (24...64).contains(bytes.count)
            else {
                throw WebhookSecretProblem(
                    description: "a line is not whsec_ and 24 to 64 bytes in base64")
            }
            keys.append(HMACKey(bytes))
        }
        self.keys = keys
    }

    /// The value of the field `webhook-signature`.
    ///
    /// - Parameter seconds: since 1970; the value of `webhook-timestamp`.
    public func value(id: String, seconds: Int64, body: [UInt8]) -> String {
        let content = Array("\(id).\(seconds).".utf8) + body
        return content.withUnsafeBytes { content in
            self.keys.map { "v1,\(Base64Text.encode($0.sign(content)))" }.joined(separator: " ")
        }
    }

    /// The text of a file with this secret.
    public static func secretText(of bytes: [UInt8]) -> String {
        "\(Self.prefix)\(Base64Text.encode(bytes))\n"
    }
}

/// Base64 with the alphabet of RFC 4648 section 4 and padding.
enum Base64Text {
    static func encode(_ bytes: [UInt8]) -> String {
        let letters = Base64URL.encode(bytes).utf8.map { letter -> UInt8 in
            switch letter {
            case UInt8(ascii: "-"): UInt8(ascii: "+")
            case UInt8(ascii: "_"): UInt8(ascii: "/")
            default: letter
            }
        }
        let padding = [UInt8](repeating: UInt8(ascii: "="), count: (4 - letters.count % 4) % 4)
        return String(decoding: letters + padding, as: UTF8.self)
    }

    /// Padding may be missing.
    static func decode(_ text: some StringProtocol) -> [UInt8]? {
        var letters = Array(text.utf8)
        while letters.last == UInt8(ascii: "=") { letters.removeLast() }
        guard !letters.contains(where: { $0 == UInt8(ascii: "-") || $0 == UInt8(ascii: "_") })
        else { return nil }
        return Base64URL.decode(
            letters.map { letter -> UInt8 in
                switch letter {
                case UInt8(ascii: "+"): UInt8(ascii: "-")
                case UInt8(ascii: "/"): UInt8(ascii: "_")
                default: letter
                }
            })
    }
}
