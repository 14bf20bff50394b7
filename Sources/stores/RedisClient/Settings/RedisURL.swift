internal import Bytes
internal import EventLoop

/// The endpoints, the credentials and the options of Redis, parsed from a URL.
///
///     redis://[[user]:password@]host[:port][/database]
///     redis+sentinel://[[user]:password@]host[:port],…/master-name[/database]
///     redis+cluster://[[user]:password@]host[:port],…
///
/// With `rediss` instead of `redis`, all connections use TLS. `?wait=N&wait-ms=M` sets how many
/// replicas must have a write before it counts as stored. User and password are percent-encoded.
/// Errors and `description` never contain them.
public struct RedisURL: Sendable, Hashable, CustomStringConvertible {
    /// The kind of servers at the endpoints.
    public enum Kind: Sendable, Hashable {
        case standalone
        /// Sentinels, which know the master of this name.
        case sentinel(master: String)
        /// Nodes of a Redis Cluster, which know the others.
        case cluster

        /// The name in operators' output.
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
    /// Never empty; exactly one for `.standalone`.
    public let endpoints: [RedisEndpoint]
    /// The ACL user (Redis 6); nil for the default user.
    public let user: String?
    public let password: RedisSecret?
    public let database: Int
    /// How many replicas must have a write; nil if the URL does not set it.
    public let waitReplicas: Int?
    /// How long to wait for them; nil if the URL does not set it.
    public let waitMilliseconds: Int?

    public init(_ text: String) throws(RedisURLError) {
        // An unencoded special character in a password ends the part that contains it. So errors
        // never show any text before the path, not even the host that it seems to be.
        guard !text.utf8.contains(where: { $0 <= 0x20 || $0 >= 0x7F }) else {
            throw RedisURLError(
                "blanks, control characters and non-ASCII characters must be percent-encoded")
        }
        guard !text.contains("#") else {
            throw RedisURLError("it must have no fragment; write a \"#\" in a password as %23")
        }
        let (scheme, rest) = try Self.splitScheme(text)
        let authority = rest.prefix { $0 != "/" && $0 != "?" }
        let suffix = rest[authority.endIndex...]
        guard !suffix.contains("@") else {
            throw RedisURLError(
                "write a \"/\" in user or password as %2F, and a \"?\" as %3F")
        }
        self.isSecure = scheme.isSecure
        (self.user, self.password) = try Self.credentials(authority)
        let list =
            authority.lastIndex(of: "@").map { authority[authority.index(after: $0)...] }
            ?? authority
        self.endpoints = try Self.endpoints(list, scheme)
        let path = suffix.prefix { $0 != "?" }
        (self.kind, self.database) = try Self.path(path, scheme)
        (self.waitReplicas, self.waitMilliseconds) = try Self.parameters(
            suffix[path.endIndex...].dropFirst())
    }

    /// The URL without user and password.
    public var description: String {
        let endpoints = self.endpoints.map(\.description).joined(separator: ",")
        let scheme = self.isSecure ? "rediss" : "redis"
        let database = self.database == 0 ? "" : "/\(self.database)"
        return switch self.kind {
        case .standalone: "\(scheme)://\(endpoints)\(database)"
        case .sentinel(let master):
            "\(scheme)+sentinel://\(endpoints)/\(PercentEncoding.encode(master))\(database)"
        case .cluster: "\(scheme)+cluster://\(endpoints)"
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
        let topology: Scheme.Topology
        switch parts.dropFirst().first {
        case nil: topology = .standalone
        case "sentinel": topology = .sentinel
        case "cluster": topology = .cluster
        default: throw Self.unknownScheme
        }
        return (Scheme(isSecure: parts[0] == "rediss", topology: topology), rest.dropFirst(3))
    }

    private static let unknownScheme = RedisURLError(
        """
        it must begin with redis://, redis+sentinel:// or redis+cluster://, \
        or the same with rediss for TLS
        """
    )

    private static func credentials(_ authority: Substring) throws(RedisURLError) -> (
        user: String?, password: RedisSecret?
    ) {
        guard let end = authority.lastIndex(of: "@") else { return (nil, nil) }
        let whole = authority[..<end]
        guard !whole.contains("@") else {
            throw RedisURLError("write an \"@\" in user or password as %40")
        }
        guard let colon = whole.firstIndex(of: ":") else {
            throw RedisURLError(
                """
                the part before the \"@\" must be user:password, \
                or :password for the default user
                """
            )
        }
        guard let user = PercentEncoding.decode(whole[..<colon].utf8),
            let password = PercentEncoding.decode(whole[colon...].utf8.dropFirst())
        else {
            throw RedisURLError(
                "user or password is not validly percent-encoded; write a \"%\" as %25")
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
        var endpoints: [RedisEndpoint] = []
        for part in parts {
            endpoints.append(
                try self.endpoint(part, defaultPort: scheme.topology == .sentinel ? 26_379 : 6379))
        }
        return endpoints
    }

    private static func endpoint(_ text: Substring, defaultPort: UInt16) throws(RedisURLError)
        -> RedisEndpoint
    {
        guard let parts = HostPort(text) else {
            throw RedisURLError("an IPv6 address has no closing bracket")
        }
        let host = parts.host
        if parts.isBracketed {
            guard IPAddress(host) != nil, host.contains(":") else {
                throw RedisURLError("the text in brackets is not an IPv6 address")
            }
            guard parts.suffix.isEmpty || parts.portText != nil else {
                throw RedisURLError("a colon must separate address and port")
            }
        } else {
            guard !parts.isAmbiguous else {
                throw RedisURLError(
                    """
                    an IPv6 address must be in brackets, as in redis://[::1]:6379, \
                    and a password must end with an \"@\"
                    """
                )
            }
            guard host.utf8.allSatisfy(Resolver.isHostNameByte) else {
                throw RedisURLError("the host is not a valid host name")
            }
        }
        guard !host.isEmpty else { throw RedisURLError("a host is missing") }
        guard let port = parts.suffix.isEmpty ? defaultPort : parts.port, port > 0 else {
            throw RedisURLError("a port must be a number from 1 to 65535")
        }
        return RedisEndpoint(host: String(host), port: port)
    }

    private static func path(_ path: Substring, _ scheme: Scheme) throws(RedisURLError) -> (
        Kind, database: Int
    ) {
        var parts = path.split(separator: "/", omittingEmptySubsequences: false).dropFirst()
        // One slash at the end has no meaning.
        if parts.last == "" { parts.removeLast() }
        switch scheme.topology {
        case .standalone:
            guard parts.count < 2 else {
                throw RedisURLError("only a database number may follow the host")
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
                throw RedisURLError("only a database number may follow the master's name")
            }
            return (.sentinel(master: master), try self.database(parts.dropFirst().first))
        case .cluster:
            guard parts.isEmpty || parts.elementsEqual(["0"]) else {
                throw RedisURLError("a Redis Cluster has only database 0")
            }
            return (.cluster, 0)
        }
    }

    private static func database(_ text: Substring?) throws(RedisURLError) -> Int {
        guard let text else { return 0 }
        guard text.utf8.allSatisfy(Self.isDigit), let number = Int(text), number < 1 << 16 else {
            throw RedisURLError("\"\(text)\" is not a database number")
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
                        "wait must be one number of replicas from 0 to 16")
                }
                wait = number
            case "wait-ms":
                guard let number, (1...60_000).contains(number), waitMilliseconds == nil else {
                    throw RedisURLError(
                        "wait-ms must be one number of milliseconds from 1 to 60000"
                    )
                }
                waitMilliseconds = number
            default:
                throw RedisURLError(
                    "it has an unknown parameter; the parameters are wait and wait-ms")
            }
        }
        return (wait, waitMilliseconds)
    }

    private static func isDigit(_ byte: UInt8) -> Bool { (0x30...0x39).contains(byte) }
}

/// Why a text is not a valid Redis URL. Shows no part that could be a password.
public struct RedisURLError: Error, Sendable, Hashable, CustomStringConvertible {
    public let reason: String

    init(_ reason: String) {
        self.reason = reason
    }

    public var description: String { "The URL of Redis cannot be used: \(self.reason)." }
}
