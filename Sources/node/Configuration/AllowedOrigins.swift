internal import Bytes

/// The web pages that may use the server, by the browser's `Origin` field (RFC 6454).
public struct AllowedOrigins: Sendable, Hashable {
    /// Every page is allowed.
    public var any: Bool
    /// Pages of the server itself are allowed: their origin matches the `Host` of the request.
    public var own: Bool
    /// `https://chat.example`, `capacitor://localhost` or `null`, in lower case, without a slash
    /// and without the scheme's default port.
    public var others: [String]
    /// Hosts whose subdomains are allowed, at any depth.
    public var subdomains: [Subdomains]

    /// The origins of all subdomains of a host: `https://*.example.org`.
    public struct Subdomains: Sendable, Hashable {
        /// `http` or `https`.
        public let scheme: String
        /// In lower case: `example.org`. The host itself does not count as a subdomain.
        public let parent: String
        /// Nil for the scheme's default.
        public let port: UInt16?

        public init(scheme: String, parent: String, port: UInt16? = nil) {
            self.scheme = scheme
            self.parent = parent
            self.port = port
        }
    }

    public init(
        any: Bool = false, own: Bool = false, others: [String] = [], subdomains: [Subdomains] = []
    ) {
        self.any = any
        self.own = own
        self.others = others
        self.subdomains = subdomains
    }

    static let standard = AllowedOrigins(
        own: true, others: ["http://localhost:3000", "http://127.0.0.1:3000"])
    static let standardText = "own,http://localhost:3000,http://127.0.0.1:3000"

    /// Adds one entry of a list. Any entry also allows the server's own pages; only an empty list
    /// excludes them.
    static func add(_ text: String, to origins: inout AllowedOrigins) throws(ValueProblem) {
        switch text {
        case "*": origins.any = true
        case "own": break
        case "none": return
        case _ where text.contains("*"): origins.subdomains.append(try self.subdomains(text))
        default: origins.others.append(try self.origin(text))
        }
        origins.own = true
    }

    private static let formats =
        """
        an origin is https://chat.example, capacitor://localhost, null, https://*.example.org, \
        own or *
        """

    private static func problem(_ text: String, _ reason: String) -> ValueProblem {
        ValueProblem("\(text.quoted) \(reason); \(self.formats)")
    }

    private static func origin(_ text: String) throws(ValueProblem) -> String {
        let lower = text.lowercased()
        if lower == "null" { return lower }
        let (scheme, rest) = try self.split(lower, of: text)
        guard scheme == "http" || scheme == "https" else {
            // Other schemes have no default ports, and their names need not be hosts: an extension
            // has an id. File URLs have no name at all.
            guard !rest.isEmpty || scheme == "file" else {
                throw self.problem(text, "has nothing after its scheme")
            }
            return "\(scheme)://\(rest)"
        }
        let (host, port) = try self.hostAndPort(rest, scheme, of: text)
        return "\(scheme)://\(host)\(port.map { ":\($0)" } ?? "")"
    }

    private static func subdomains(_ text: String) throws(ValueProblem) -> Subdomains {
        let lower = text.lowercased()
        let (scheme, rest) = try self.split(lower, of: text)
        guard scheme == "http" || scheme == "https" else {
            throw self.problem(text, "has a *, which only http and https may have")
        }
        guard rest.hasPrefix("*."), !rest.dropFirst(2).contains("*") else {
            throw self.problem(text, "must have its * before a host: *.example.org")
        }
        let (host, port) = try self.hostAndPort(rest.dropFirst(2), scheme, of: text)
        guard !host.hasPrefix("["), !host.hasPrefix("."), IPAddress(host) == nil else {
            throw self.problem(text, "has a * before a host without subdomains")
        }
        return Subdomains(scheme: scheme, parent: host, port: port)
    }

    /// Splits a text at `://`.
    private static func split(_ lower: String, of text: String) throws(ValueProblem) -> (
        scheme: String, rest: Substring
    ) {
        guard let colon = lower.firstIndex(of: ":"), lower[colon...].hasPrefix("://") else {
            throw self.problem(text, "has no scheme")
        }
        var scheme = lower[..<colon]
        if scheme == "ws" || scheme == "wss" { scheme = "http" + scheme.dropFirst(2) }
        guard let first = scheme.utf8.first, (0x61...0x7A).contains(first),
            scheme.utf8.allSatisfy({ $0.isASCIILetterOrDigit || "+-.".utf8.contains($0) })
        else { throw self.problem(text, "has no scheme") }
        let rest = lower[colon...].dropFirst(3)
        if rest.contains("/") {
            throw self.problem(text, "has a path; an origin has none, not even a slash")
        }
        guard rest.utf8.allSatisfy({ $0.isASCIILetterOrDigit || "-._:[]*".utf8.contains($0) })
        else {
            throw self.problem(text, "has a character that an origin cannot have")
        }
        return (String(scheme), rest)
    }

    /// - Returns: the port is nil if it is the scheme's default.
    private static func hostAndPort(
        _ authority: Substring, _ scheme: String, of text: String
    ) throws(ValueProblem) -> (host: String, port: UInt16?) {
        let standardPort: UInt16 = scheme == "https" ? 443 : 80
        guard
            let address = try? ListenAddress.parse(String(authority), defaultPort: standardPort),
            address.port != 0
        else {
            throw self.problem(text, "has no valid host and port")
        }
        return (
            HostPort.bracketed(address.host), address.port == standardPort ? nil : address.port
        )
    }
}
