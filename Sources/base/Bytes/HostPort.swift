/// A text such as `chat.example:8080`, `chat.example` or `[::1]:8080`, split into host and port
/// (RFC 3986 section 3.2).
///
/// It checks neither host nor port, because options, URLs and header fields accept different ones
/// and report them differently.
public struct HostPort: Sendable, Equatable {
    /// Without brackets. It may be empty.
    public let host: Substring
    /// Whether the host was in brackets, as an IPv6 address must be.
    public let isBracketed: Bool
    /// All text after the host. In a valid text it is empty, or a colon and the port.
    public let suffix: Substring

    /// Returns nil if the text begins with a bracket that is not closed.
    public init?(_ text: Substring) {
        self.isBracketed = text.first == "["
        if self.isBracketed {
            guard let end = text.firstIndex(of: "]") else { return nil }
            self.host = text[..<end].dropFirst()
            self.suffix = text[end...].dropFirst()
        } else {
            self.host = text.prefix { $0 != ":" }
            self.suffix = text[self.host.endIndex...]
        }
    }

    /// Splits at the last colon, for texts that have a port even after an IPv6 address without
    /// brackets, such as `::1:6381` in a redirection of Redis.
    ///
    /// A text that ends with a bracket has no port. Without any colon the whole text is the host.
    public init(atLastColonOf text: Substring) {
        let end = (text.last == "]" ? nil : text.lastIndex(of: ":")) ?? text.endIndex
        let host = text[..<end]
        self.suffix = text[end...]
        self.isBracketed = host.first == "[" && host.last == "]"
        self.host = self.isBracketed ? host.dropFirst().dropLast() : host
    }

    /// The text after the colon that follows the host; nil without that colon.
    public var portText: Substring? { self.suffix.first == ":" ? self.suffix.dropFirst() : nil }

    /// The port; nil if there is none, or if it is not a decimal number up to 65535.
    public var port: UInt16? { self.portText.flatMap { Self.port($0) } }

    /// Whether the text has several colons and no brackets. It is unclear where an IPv6 address
    /// without brackets ends and a port begins.
    public var isAmbiguous: Bool { !self.isBracketed && self.portText?.contains(":") == true }

    /// Parses a port; nil if the text is not a decimal number up to 65535.
    public static func port(_ digits: Substring) -> UInt16? {
        // UInt16 alone would accept a sign.
        digits.utf8.allSatisfy { (0x30...0x39).contains($0) } ? UInt16(digits) : nil
    }

    /// A host as it is written before a port: an IPv6 address in brackets.
    public static func bracketed(_ host: String) -> String {
        host.contains(":") ? "[\(host)]" : host
    }
}
