public import Bytes
public import ChatModel
public import Telemetry

/// The settings of a node, from the command line, the environment and the configuration file.
public struct ServeOptions: Sendable, Equatable {
    /// The listener for clients: all protocols, REST and pages.
    public var listen = ListenAddress(host: "127.0.0.1", port: 8080)
    /// The listener for operators; nil to disable it.
    public var admin: ListenAddress? = ListenAddress(host: "127.0.0.1", port: 8090)
    /// Nil: the server creates a token next to its database.
    public var adminTokenFile: String?
    /// Whether operators need a token.
    public var requiresAdminToken = true
    /// Either both or neither are set.
    public var tlsCertificateFile: String?
    public var tlsKeyFile: String?
    public var origins = AllowedOrigins.standard
    /// Request headers that pages may send in addition to the built-in ones, in lower case.
    public var corsHeaders: [String] = []
    /// The public URL for links; nil to use the host of each request, if it is checked.
    public var publicURL: PublicURL?
    /// Names of the node, in lower case and without ports. Where clients need no token, the node
    /// refuses requests for other names.
    public var hosts: [String] = []
    /// Proxies whose `X-Forwarded-For`, `X-Forwarded-Proto` and `X-Forwarded-Host` are trusted.
    public var trustedProxies = IPNetwork.loopback

    public var store: StoreLocation

    /// The prefix of every key in Redis. Clusters with different names can share one Redis.
    public var clusterName = "confab"
    /// The key that signs messages between nodes; nil to derive it from the JWT secret.
    public var clusterKeyFile: String?
    /// Certificate authorities for `rediss://`; nil for those of the system.
    public var redisCAFile: String?

    /// Nil: the server creates one next to its database.
    public var jwtSecretFile: String?
    public var jwtPublicKeyFiles: [String] = []
    public var jwksFile: String?
    public var jwtAudience: String?
    public var jwtIssuer: String?
    /// Tolerance for `exp` and `nbf`.
    public var jwtLeeway: Duration = .zero
    /// Whether connections without a token are accepted where a protocol allows them. The default
    /// is on for a loopback listener without Redis, else off.
    public var anonymous = true
    /// The access of conversations whose creation does not say it.
    public var defaultAccess = DefaultAccess.open

    /// The receivers of events; empty for none.
    public var webhooks: [WebhookURL] = []
    public var webhookEvents = WebhookEventType.allCases
    /// Nil: the server creates one next to its database.
    public var webhookSecretFile: String?
    /// Networks that are not public, and that receivers may be in.
    public var webhookAllow: [IPNetwork] = []

    /// Nil: the host name and a random suffix.
    public var nodeID: String?
    /// Event-loop threads; nil: one less than the number of cores.
    public var loops: Int?
    /// Whether to send a message to many sockets with one system call, where the kernel supports
    /// it.
    public var ioUring = true
    /// The time over which a drain spreads the closing of connections.
    public var drain: Duration = .seconds(10)
    public var limits = Limits()
    /// The path of a WebSocket echo endpoint; nil to disable it.
    public var echoPath: String?

    public var logLevel = LogLevel.info
    public var logFormat = LogFormat.text

    /// The configuration file in use.
    public var configurationFile: String?
    /// Every effective setting with its source, in the order of the table, limits last.
    public internal(set) var settings: [EffectiveSetting] = []
    /// Probable mistakes that do not prevent a start.
    public internal(set) var warnings: [String] = []

    init(store: StoreLocation) { self.store = store }

    /// The trusted proxies that are not trusted by default.
    public var namedProxies: [IPNetwork] {
        let setting = self.settings.first { $0.name == "trusted-proxies" }
        return setting?.source == .standard ? [] : self.trustedProxies
    }

    /// The files that the settings name, with the option that names each. They must be readable.
    public var namedFiles: [(option: String, path: String)] {
        var files: [(option: String, path: String)] = []
        func add(_ option: String, _ path: String?) {
            if let path { files.append((option, path)) }
        }
        add("--admin-token-file", self.adminTokenFile)
        add("--tls-cert", self.tlsCertificateFile)
        add("--tls-key", self.tlsKeyFile)
        add("--jwt-secret-file", self.jwtSecretFile)
        for path in self.jwtPublicKeyFiles { add("--jwt-public-key-file", path) }
        add("--jwks-file", self.jwksFile)
        add("--cluster-key-file", self.clusterKeyFile)
        add("--redis-ca-file", self.redisCAFile)
        add("--webhook-secret-file", self.webhookSecretFile)
        return files
    }

    /// The configured files that contain secrets.
    public var secretFiles: [String] {
        let secrets = [
            "--admin-token-file", "--tls-key", "--jwt-secret-file", "--cluster-key-file",
            "--webhook-secret-file",
        ]
        return self.namedFiles.filter { secrets.contains($0.option) }.map(\.path)
    }

    /// File errors, for `config check`. `problem` checks one file and returns an error text, or
    /// nil.
    public func fileProblems(_ problem: (_ option: String, _ path: String) -> String?)
        -> [UsageError]
    {
        self.namedFiles.compactMap { file in
            problem(file.option, file.path).map {
                .badValue(name: file.option, problem: "\(file.path.escaped): \($0)")
            }
        }
    }
}

/// One effective setting.
public struct EffectiveSetting: Sendable, Equatable {
    /// The source of a value. The command line takes precedence over the environment, and the
    /// environment over the file.
    public enum Source: Sendable, Equatable, CustomStringConvertible {
        case standard
        case file(String)
        /// The name of the variable.
        case environment(String)
        case commandLine

        public var description: String {
            switch self {
            case .standard: "default"
            case .file(let path): "file \(path)"
            case .environment(let variable): "environment \(variable)"
            case .commandLine: "command line"
            }
        }
    }

    /// `listen`; for a limit, `limit content-bytes`.
    public let name: String
    /// Nil when it is neither set nor has a default.
    public internal(set) var value: String?
    public let source: Source
}
