internal import Bytes
internal import EventLoop

/// A WebSocket URL in parts (RFC 6455 section 3, RFC 3986).
///
/// `http` and `https` mean `ws` and `wss`, because users copy such URLs from a browser.
public struct WebSocketURL: Sendable, Hashable, CustomStringConvertible {
    public let isSecure: Bool
    /// A name or an address; IPv6 without brackets.
    public let host: String
    public let port: UInt16
    /// Percent-encoded; begins with a slash.
    public let path: String
    /// Percent-encoded, without the question mark; nil when there is none.
    public let query: String?

    /// Parses a URL. It rejects everything that would not reach the server unchanged: blanks, user
    /// names, fragments.
    public init(_ text: String) throws(WebSocketURLError) {
        guard !text.utf8.contains(where: { $0 <= 0x20 || $0 >= 0x7F }) else {
            throw WebSocketURLError(
                "blanks, control characters and letters beyond ASCII must be percent-encoded")
        }
        guard let colon = text.range(ofASCII: "://") else {
            throw WebSocketURLError("it must begin with ws://, wss://, http:// or https://")
        }
        switch text[..<colon.lowerBound].lowercased() {
        case "ws", "http": self.isSecure = false
        case "wss", "https": self.isSecure = true
        default: throw WebSocketURLError("it must begin with ws://, wss://, http:// or https://")
        }
        let rest = text[colon.upperBound...]
        guard !rest.contains("#") else {
            throw WebSocketURLError("a WebSocket has no fragment (\"#…\")")
        }
        let authority = rest.prefix { $0 != "/" && $0 != "?" }
        (self.host, self.port) = try Self.hostAndPort(
            authority, defaultPort: self.isSecure ? 443 : 80)
        let target = rest[authority.endIndex...]
        let path = target.prefix { $0 != "?" }
        self.path = path.isEmpty ? "/" : String(path)
        self.query =
            path.endIndex == target.endIndex ? nil : String(target[path.endIndex...].dropFirst())
    }

    private init(isSecure: Bool, host: String, port: UInt16, path: String, query: String?) {
        self.isSecure = isSecure
        self.host = host
        self.port = port
        self.path = path
        self.query = query
    }

    private static func hostAndPort(_ authority: Substring, defaultPort: UInt16)
        throws(WebSocketURLError) -> (String, UInt16)
    {
        guard !authority.contains("@") else {
            throw WebSocketURLError(
                "a user name or password (\"…@\") is not allowed; give the token separately")
        }
        guard let parts = HostPort(authority) else {
            throw WebSocketURLError("the IPv6 address has no closing bracket")
        }
        let host = parts.host
        if parts.isBracketed {
            guard host.contains(":"),
                host.utf8.allSatisfy({
                    Hex.value($0) != nil || $0 == UInt8(ascii: ":") || $0 == UInt8(ascii: ".")
                })
            else { throw WebSocketURLError("\"[\(host)]\" is not an IPv6 address") }
        } else {
            guard !parts.isAmbiguous else {
                throw WebSocketURLError(
                    "an IPv6 address must be in brackets, as in ws://[::1]:8080/")
            }
            guard host.utf8.allSatisfy({ Resolver.isHostNameByte($0) }) else {
                throw WebSocketURLError("\"\(host)\" is not a host name")
            }
        }
        guard !host.isEmpty else { throw WebSocketURLError("the host is missing") }
        if parts.suffix.isEmpty { return (String(host), defaultPort) }
        guard let portText = parts.portText else {
            throw WebSocketURLError("a colon is missing between address and port")
        }
        if portText.isEmpty { return (String(host), defaultPort) }
        guard let port = parts.port, port > 0 else {
            throw WebSocketURLError("\"\(portText)\" is not a port; ports are 1 to 65535")
        }
        return (String(host), port)
    }

    /// The target of the request line.
    public var target: String {
        self.query.map { "\(self.path)?\($0)" } ?? self.path
    }

    /// The value of the Host field: with the port, unless it is the scheme's default (RFC 9110
    /// section 7.2).
    public var hostField: String {
        let host = HostPort.bracketed(self.host)
        return self.port == (self.isSecure ? 443 : 80) ? host : "\(host):\(self.port)"
    }

    /// The URL without its query, which may contain a token. For messages.
    public var description: String {
        "\(self.isSecure ? "wss" : "ws")://\(self.hostField)\(self.path)"
    }

    /// Appends a path. The server may be mounted below a path of its own.
    public func appending(path: String) -> WebSocketURL {
        let base = self.path.hasSuffix("/") ? String(self.path.dropLast()) : self.path
        return WebSocketURL(
            isSecure: self.isSecure, host: self.host, port: self.port, path: base + path,
            query: self.query)
    }

    /// Replaces the path and keeps the query.
    func replacing(path: String) -> WebSocketURL {
        WebSocketURL(
            isSecure: self.isSecure, host: self.host, port: self.port, path: path, query: self.query
        )
    }

    /// Sets a query parameter, and replaces one of the same name.
    public func setting(_ name: String, to value: String) -> WebSocketURL {
        var parameters = self.query.map { $0.split(separator: "&").map(String.init) } ?? []
        parameters.removeAll { $0 == name || $0.hasPrefix(name + "=") }
        parameters.append("\(name)=\(PercentEncoding.encode(value))")
        let query = parameters.joined(separator: "&")
        return WebSocketURL(
            isSecure: self.isSecure, host: self.host, port: self.port, path: self.path, query: query
        )
    }

    /// The URL that resumes a conversation after a message and a revision.
    func resuming(_ after: Int?, _ rev: Int?) -> WebSocketURL {
        guard let after else { return self }
        let url = self.setting("after", to: String(after))
        return rev.map { url.setting("rev", to: String($0)) } ?? url
    }

    /// The decoded value of a query parameter; nil when it is missing or not UTF-8.
    public func parameter(_ name: String) -> String? {
        for parameter in self.query?.split(separator: "&") ?? []
        where parameter.hasPrefix(name + "=") {
            return PercentEncoding.decode(
                parameter.utf8.dropFirst(name.utf8.count + 1), plusIsSpace: true)
        }
        return nil
    }
}

/// Why a text is not a WebSocket URL.
public struct WebSocketURLError: Error, Sendable, Hashable, CustomStringConvertible {
    private let reason: String

    init(_ reason: String) {
        self.reason = reason
    }

    public var description: String { "The URL cannot be used: \(self.reason)." }
}

extension String {
    /// The first occurrence of `text`.
    fileprivate func range(ofASCII text: String) -> Range<String.Index>? {
        var start = self.startIndex
        while start < self.endIndex {
            if self[start...].hasPrefix(text) {
                return start..<self.index(start, offsetBy: text.count)
            }
            start = self.index(after: start)
        }
        return nil
    }
}
