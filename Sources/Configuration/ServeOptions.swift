public import Bytes
public import Telemetry

/// How a node is to run: what `confab serve` was told on the command line, in the environment and in a file.
public struct ServeOptions: Sendable, Equatable {
    /// For clients: all dialects, REST, pages.
    public var listen = ListenAddress(host: "127.0.0.1", port: 8080)
    /// For operators; nil: no such listener.
    public var admin: ListenAddress? = ListenAddress(host: "127.0.0.1", port: 8090)
    public var adminTokenFile: String?
    /// Both or none.
    public var tlsCertificateFile: String?
    public var tlsKeyFile: String?
    public var origins = AllowedOrigins.standard
    /// Request headers that pages may send beside the usual ones, in lower case.
    public var corsHeaders: [String] = []
    /// Where clients find the service; nil: where a request says that it came to, if that is checked.
    public var publicURL: PublicURL?
    /// Whose `X-Forwarded-For`, `X-Forwarded-Proto` and `X-Forwarded-PortReference` are believed.
    public var trustedProxies = IPNetwork.loopback

    public var store = StoreLocation.sqlite(path: "confab.db")
    /// Messages kept of each conversation; 0: all.
    public var history = 10_000

    /// The first part of every key in Redis: clusters of different names can share one.
    public var clusterName = "confab"
    /// What nodes sign their mail with; nil: derived from the JWT secret.
    public var clusterKeyFile: String?
    /// Who is believed for `rediss://`; nil: whom the system believes.
    public var redisCAFile: String?

    /// Nil: the server makes one beside its database.
    public var jwtSecretFile: String?
    public var jwtPublicKeyFiles: [String] = []
    public var jwksFile: String?
    public var jwtAudience: String?
    public var jwtIssuer: String?
    /// Allowed on `exp` and `nbf`.
    public var jwtLeeway: Duration = .zero
    /// Whether connections without a token are taken where a dialect allows them. Unless it is said, they are where only this machine
    /// reaches the listener, and no other node shares the store.
    public var anonymous = true

    /// Nil: the host's name and a random suffix.
    public var nodeID: String?
    /// Event-loop threads; nil: as many as there are cores.
    public var loops: Int?
    /// Whether a message goes to many sockets with one call of the kernel, where it lets us.
    public var ioUring = true
    /// How long a drain spreads its closes.
    public var drain: Duration = .seconds(10)
    public var limits = Limits()
    /// Where a plain WebSocket echo is mounted; nil: nowhere.
    public var echoPath: String?

    public var logLevel = LogLevel.info
    public var logFormat = LogFormat.text

    /// The file that was read.
    public var configurationFile: String?
    /// Every setting as it is in force and who said so, in the order of the table, limits at the end.
    public internal(set) var settings: [EffectiveSetting] = []
    /// What is probably a mistake, though none to stop for.
    public internal(set) var warnings: [String] = []

    init() {}

    /// The files that the settings name and that must be readable, with the option that names each.
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
        return files
    }

    /// What is wrong with the files, for `config check`. `problem` looks into one and says what is wrong with it, or nil.
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

/// One setting as it is in force.
public struct EffectiveSetting: Sendable, Equatable {
    /// Who said so. The command line wins over the environment, that over the file.
    public enum Source: Sendable, Equatable, CustomStringConvertible {
        case standard
        case file(String)
        /// The variable's name.
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

    /// `listen`; a limit as `limit content-bytes`.
    public let name: String
    /// Nil when it is not set and has no default.
    public internal(set) var value: String?
    public let source: Source
}
