internal import Bytes
internal import EventLoop

/// Where Redis is and who we are to it: the URL in parts.
///
///     redis://[[user]:password@]host[:port][/database]
///     redis+sentinel://[[user]:password@]host[:port],…/master-name[/database]
///     redis+cluster://[[user]:password@]host[:port],…
///
/// With `rediss` for `redis` everything goes over TLS. `?wait=N&wait-ms=M` says how many replicas must have a write before it counts.
/// User and password are percent-encoded. What an error or `description` says never holds any of them.
public struct RedisURL: Sendable, Hashable, CustomStringConvertible {
    /// What is at the places.
    public enum Kind: Sendable, Hashable {
        /// One server.
        case standalone
        /// Sentinels, which know where the master of this name is.
        case sentinel(master: String)
        /// Some nodes of a Redis Cluster, which know the others.
        case cluster

        /// As operators read it.
        public var name: String {
            switch self {
            case .standalone: "standalone"
            case .sentinel: "sentinel"
            case .cluster: "cluster"
            }
        }
    }

    public let kind: Kind
    public let isSecure: Bool
    /// Never empty; one only for `.standalone`.
    public let endpoints: [RedisEndpoint]
    /// The user of an access list (Redis 6); nil is the default user.
    public let user: String?
    public let password: RedisSecret?
    public let database: Int
    /// How many replicas must have a write, if the URL says it.
    public let waitReplicas: Int?
    /// How long to wait for them, if the URL says it.
    public let waitMilliseconds: Int?

    public init(_ text: String) throws(RedisURLError) {
        // A letter that means something in URLs and stands unencoded in a password ends the part that it is in. So nothing of what
        // stands before the path is ever shown, not even as the wrong host that it seems to be.
        guard !text.utf8.contains(where: { $0 <= 0x20 || $0 >= 0x7F }) else {
            throw RedisURLError(
                "blanks, control characters and letters beyond ASCII must be percent-encoded")
        }
        guard !text.contains("#") else {
            throw RedisURLError("it has no fragment; a \"#\" in a password is written %23")
        }
        let (scheme, rest) = try Self.splitScheme(text)
        let authority = rest.prefix { $0 != "/" && $0 != "?" }
        let behind = rest[authority.endIndex...]
        guard !behind.contains("@") else {
            throw RedisURLError(
                "a \"/\" or \"?\" in user or password must be percent-encoded, as %2F or %3F")
        }
        self.isSecure = scheme.isSecure
        (self.user, self.password) = try Self.credentials(authority)
        let list =
            authority.lastIndex(of: "@").map { authority[authority.index(after: $0)...] }
            ?? authority
        self.endpoints = try Self.endpoints(list, scheme)
        let path = behind.prefix { $0 != "?" }
        (self.kind, self.database) = try Self.path(path, scheme)
        (self.waitReplicas, self.waitMilliseconds) = try Self.parameters(
            behind[path.endIndex...].dropFirst())
    }

    /// The URL without user and password.
    public var description: String {
        let places = self.endpoints.map(\.description).joined(separator: ",")
        let scheme = self.isSecure ? "rediss" : "redis"
        let database = self.database == 0 ? "" : "/\(self.database)"
        return switch self.kind {
        case .standalone: "\(scheme)://\(places)\(database)"
        case .sentinel(let master):
            "\(scheme)+sentinel://\(places)/\(PercentEncoding.encode(master))\(database)"
        case .cluster: "\(scheme)+cluster://\(places)"
        }
    }
}

extension RedisURL {
    private struct Scheme {
        enum Topology { case standalone, sentinel, cluster }
        var isSecure: Bool
        var topology: Topology
    }

    private static func splitScheme(_ text: String) throws(RedisURLError) -> (Scheme, Substring) {
        let name = text.prefix { $0 != ":" }
        let rest = text[name.endIndex...]
        guard rest.hasPrefix("://") else { throw Self.unknownScheme }
        let parts = name.lowercased().split(
            separator: "+", maxSplits: 1, omittingEmptySubsequences: false)
        guard parts[0] == "redis" || parts[0] == "rediss" else { throw Self.unknownScheme }
        let flavour: Scheme.Topology
        switch parts.dropFirst().first {
        case nil: flavour = .standalone
        case "sentinel": flavour = .sentinel
        case "cluster": flavour = .cluster
        default: throw Self.unknownScheme
        }
        return (Scheme(isSecure: parts[0] == "rediss", topology: flavour), rest.dropFirst(3))
    }

    private static let unknownScheme = RedisURLError(
        "it must begin with redis://, redis+sentinel:// or redis+cluster://, or the same with rediss for TLS"
    )

    private static func credentials(_ authority: Substring) throws(RedisURLError) -> (
        user: String?, password: RedisSecret?
    ) {
        guard let end = authority.lastIndex(of: "@") else { return (nil, nil) }
        let whole = authority[..<end]
        guard !whole.contains("@") else {
            throw RedisURLError("an \"@\" in user or password must be written %40")
        }
        guard let colon = whole.firstIndex(of: ":") else {
            throw RedisURLError(
                "what stands before the \"@\" must be user:password, or :password for the default user"
            )
        }
        guard let user = PercentEncoding.decode(whole[..<colon].utf8),
            let password = PercentEncoding.decode(whole[colon...].utf8.dropFirst())
        else {
            throw RedisURLError(
                "user or password is not percent-encoded as it should be; a \"%\" is written %25")
        }
        guard !password.isEmpty else {
            throw RedisURLError("the password before the \"@\" is empty")
        }
        return (user.isEmpty ? nil : user, RedisSecret(password))
    }

    private static func endpoints(_ list: Substring, _ scheme: Scheme) throws(RedisURLError)
        -> [RedisEndpoint]
    {
        let parts = list.split(separator: ",", omittingEmptySubsequences: false)
        if scheme.topology == .standalone, parts.count > 1 {
            throw RedisURLError(
                "redis:// names one server; several need redis+sentinel:// or redis+cluster://")
        }
        var places: [RedisEndpoint] = []
        for part in parts {
            places.append(
                try self.endpoint(part, defaultPort: scheme.topology == .sentinel ? 26_379 : 6379))
        }
        return places
    }

    private static func endpoint(_ text: Substring, defaultPort: UInt16) throws(RedisURLError)
        -> RedisEndpoint
    {
        let host: Substring
        let portText: Substring
        if text.first == "[" {
            guard let end = text.firstIndex(of: "]") else {
                throw RedisURLError("an IPv6 address has no closing bracket")
            }
            host = text[..<end].dropFirst()
            portText = text[end...].dropFirst()
            guard IPAddress(host) != nil, host.contains(":") else {
                throw RedisURLError("what stands in brackets is no IPv6 address")
            }
            guard portText.isEmpty || portText.first == ":" else {
                throw RedisURLError("a colon must stand between address and port")
            }
        } else {
            guard text.count(where: { $0 == ":" }) < 2 else {
                throw RedisURLError(
                    "an IPv6 address stands in brackets, as in redis://[::1]:6379, and a password ends with an \"@\""
                )
            }
            host = text.prefix { $0 != ":" }
            portText = text[host.endIndex...]
            guard host.utf8.allSatisfy(Resolver.isHostNameByte) else {
                throw RedisURLError("the host is no host name")
            }
        }
        guard !host.isEmpty else { throw RedisURLError("a host is missing") }
        guard
            portText.isEmpty
                || (portText.count > 1 && portText.dropFirst().utf8.allSatisfy(Self.isDigit)),
            let port = portText.isEmpty ? defaultPort : UInt16(portText.dropFirst()), port > 0
        else { throw RedisURLError("a port is no number from 1 to 65535") }
        return RedisEndpoint(host: String(host), port: port)
    }

    private static func path(_ path: Substring, _ scheme: Scheme) throws(RedisURLError) -> (
        Kind, database: Int
    ) {
        var parts = path.split(separator: "/", omittingEmptySubsequences: false).dropFirst()
        // One slash at the end says nothing.
        if parts.last == "" { parts.removeLast() }
        switch scheme.topology {
        case .standalone:
            guard parts.count < 2 else {
                throw RedisURLError("only a database's number may stand behind the host")
            }
            return (.standalone, try self.database(parts.first))
        case .sentinel:
            guard let first = parts.first, let master = PercentEncoding.decode(first.utf8),
                !master.isEmpty
            else {
                throw RedisURLError(
                    "the master's name is missing: redis+sentinel://host:26379/NAME")
            }
            guard parts.count < 3 else {
                throw RedisURLError("only a database's number may stand behind the master's name")
            }
            return (.sentinel(master: master), try self.database(parts.dropFirst().first))
        case .cluster:
            guard parts.isEmpty || parts.elementsEqual(["0"]) else {
                throw RedisURLError("a Redis Cluster has no databases but 0")
            }
            return (.cluster, 0)
        }
    }

    private static func database(_ text: Substring?) throws(RedisURLError) -> Int {
        guard let text else { return 0 }
        guard text.utf8.allSatisfy(Self.isDigit), let number = Int(text), number < 1 << 16 else {
            throw RedisURLError("\"\(text)\" is no number of a database")
        }
        return number
    }

    private static func parameters(_ query: Substring) throws(RedisURLError) -> (
        wait: Int?, waitMilliseconds: Int?
    ) {
        var wait: Int?
        var waitMilliseconds: Int?
        for parameter in query.split(separator: "&") {
            let name = parameter.prefix { $0 != "=" }
            let value = parameter[name.endIndex...].dropFirst()
            let number = value.utf8.allSatisfy(Self.isDigit) ? Int(value) : nil
            switch name {
            case "wait":
                guard let number, number <= 16, wait == nil else {
                    throw RedisURLError(
                        "wait is how many replicas must have a write: one number from 0 to 16")
                }
                wait = number
            case "wait-ms":
                guard let number, (1...60_000).contains(number), waitMilliseconds == nil else {
                    throw RedisURLError(
                        "wait-ms is how long to wait for replicas: one number of milliseconds from 1 to 60000"
                    )
                }
                waitMilliseconds = number
            default:
                throw RedisURLError(
                    "it has a parameter that we do not know; there are wait and wait-ms")
            }
        }
        return (wait, waitMilliseconds)
    }

    private static func isDigit(_ byte: UInt8) -> Bool { (0x30...0x39).contains(byte) }
}

/// Why a text is no URL of Redis. Says what is wrong and shows no part that could be a password.
public struct RedisURLError: Error, Sendable, Hashable, CustomStringConvertible {
    public let reason: String

    init(_ reason: String) {
        self.reason = reason
    }

    public var description: String { "The URL of Redis cannot be used: \(self.reason)." }
}
