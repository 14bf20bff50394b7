internal import Bytes

/// The URL of a webhook's receiver in parts (RFC 3986).
public struct WebhookURL: Sendable, Hashable, CustomStringConvertible {
    public let isSecure: Bool
    /// A name or an address; IPv6 without brackets.
    public let host: String
    public let port: UInt16
    /// The path with its query, percent-encoded.
    public let target: String

    /// The value of the Host field: with the port, unless it is the scheme's default.
    public var hostField: String {
        let host = HostPort.bracketed(self.host)
        return self.port == (self.isSecure ? 443 : 80) ? host : "\(host):\(self.port)"
    }

    /// The origin. Path and query often contain a secret, so nothing shows them.
    public var description: String {
        "\(self.isSecure ? "https" : "http")://\(self.hostField)"
    }

    /// A name for each URL: its origin, and a number if an earlier one has the same.
    public static func names(of urls: [WebhookURL]) -> [String] {
        urls.enumerated().map { index, url in
            let number = urls[...index].count { $0.description == url.description }
            return number == 1 ? url.description : "\(url) (\(number))"
        }
    }

    /// - Throws: an error without the text, because it may contain a secret.
    static func parse(_ text: String) throws(ValueProblem) -> WebhookURL {
        guard !text.utf8.contains(where: { $0 <= 0x20 || $0 >= 0x7F }), !text.contains("#"),
            !text.contains("@")
        else {
            throw ValueProblem(
                "the URL contains a user name, a fragment, or characters that must be "
                    + "percent-encoded")
        }
        let isSecure = text.hasPrefix("https://")
        guard isSecure || text.hasPrefix("http://") else {
            throw ValueProblem("the URL does not begin with https:// or http://")
        }
        let rest = text.dropFirst(isSecure ? 8 : 7)
        let authority = rest.prefix { $0 != "/" && $0 != "?" }
        guard let parts = HostPort(authority), !parts.isAmbiguous, !parts.host.isEmpty,
            parts.host.utf8.allSatisfy({
                $0.isASCIILetterOrDigit || "-._".utf8.contains($0)
                    || parts.isBracketed && $0 == UInt8(ascii: ":")
            }),
            let port = parts.suffix.isEmpty ? (isSecure ? 443 : 80) : parts.port, port > 0
        else { throw ValueProblem("the URL has no valid host and port") }
        let target = rest[authority.endIndex...]
        return WebhookURL(
            isSecure: isSecure, host: String(parts.host), port: port,
            target: target.first == "/" ? String(target) : "/\(target)")
    }
}

/// The types of events that webhooks send.
public enum WebhookEventType: String, Sendable, CaseIterable {
    case conversationCreated = "conversation.created"
    case conversationUpdated = "conversation.updated"
    case conversationEnded = "conversation.ended"
    case messageCreated = "message.created"
    case messageEdited = "message.edited"
    case messageDeleted = "message.deleted"
    case memberJoined = "member.joined"
    case memberLeft = "member.left"
    case memberOnline = "member.online"
    case memberOffline = "member.offline"

    /// Parses a type, or a group of types such as `message`.
    static func parse(_ text: String) throws(ValueProblem) -> [WebhookEventType] {
        if text == "all" { return Self.allCases }
        let types = Self.allCases.filter {
            $0.rawValue == text || $0.rawValue.hasPrefix("\(text).")
        }
        guard !types.isEmpty else {
            let names = Self.allCases.map(\.rawValue).joined(separator: ", ")
            throw ValueProblem("\(text.quoted) is not all, message, member, conversation, \(names)")
        }
        return types
    }
}

/// Addresses to which webhooks may connect although they are not public.
enum WebhookNetworks {
    static func parse(_ text: String) throws(ValueProblem) -> [IPNetwork] {
        if text == "none" { return [] }
        guard let network = IPNetwork(text) else {
            throw ValueProblem("\(text.quoted) is not an address or a network such as 10.0.0.0/8")
        }
        return [network]
    }
}
