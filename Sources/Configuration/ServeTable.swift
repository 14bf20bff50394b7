internal import Bytes
internal import Telemetry

/// The options of `confab serve`. Whoever adds one adds it here and nowhere else.
enum ServeTable {
    static let bindings: [OptionBinding<ServeOptions>] =
        listeners + messages + cluster + identity + node + logging

    /// All of them as the help shows them, `--config` at the end.
    static let options: [OptionSpec] =
        bindings.map(\.spec) + [
            setting(
                "config", .file, "FILE", in: "Configuration",
                "a JSON file with any of these settings: {\"listen\": \"0.0.0.0:80\"}")
        ]

    private static func setting(
        _ name: String, _ form: OptionSpec.Form, _ placeholder: String,
        default defaultText: String? = nil, in group: String, _ help: String
    ) -> OptionSpec {
        OptionSpec(
            name: name, form: form, placeholder: placeholder, defaultText: defaultText, help: help,
            group: group, isSetting: true)
    }

    private static let listeners: [OptionBinding<ServeOptions>] = [
        OptionBinding(
            setting(
                "listen", .text, "HOST:PORT", default: "127.0.0.1:8080", in: "Listeners",
                "where clients connect; port 0 picks a free one"),
            sets: \.listen, ListenAddress.parse),
        OptionBinding(
            setting(
                "admin", .text, "HOST:PORT|off", default: "127.0.0.1:8090", in: "Listeners",
                "where operators connect: admin API and /metrics; off for nowhere"),
            sets: \.admin, ListenAddress.parseOptional),
        OptionBinding(
            setting(
                "admin-token-file", .file, "FILE", in: "Listeners",
                "bearer token of the admin API; required when --admin is not on loopback"),
            sets: \.adminTokenFile, ValueParsing.optionalText),
        OptionBinding(
            setting(
                "tls-cert", .file, "FILE", in: "Listeners",
                "certificate chain (PEM): serve https and wss on the same port"),
            sets: \.tlsCertificateFile, ValueParsing.optionalText),
        OptionBinding(
            setting("tls-key", .file, "FILE", in: "Listeners", "its private key (PEM)"),
            sets: \.tlsKeyFile, ValueParsing.optionalText),
        OptionBinding(
            setting(
                "origins", .list, "LIST", default: AllowedOrigins.standardText, in: "Listeners",
                "browser origins that may connect beside the server's own, with commas between: https://chat.example, "
                    + "capacitor://localhost, null, https://*.example.org; * any, none no browser"),
            changes: \.origins, reset: { $0 = AllowedOrigins() },
            { (origins: inout AllowedOrigins, text: String) throws(ValueProblem) in
                try AllowedOrigins.add(text, to: &origins)
            }),
        OptionBinding(
            setting(
                "cors-headers", .list, "LIST", in: "Listeners",
                "request headers that pages of --origins may send beside those that clients need, with commas between: traceparent"
            ),
            lists: \.corsHeaders, HeaderNames.parse),
        OptionBinding(
            setting(
                "public-url", .text, "URL", in: "Listeners",
                "where clients find the service, for links: https://chat.example; without it the request's own host, where that is checked"
            ),
            sets: \.publicURL, ValueParsing.optional(PublicURL.parse)),
        OptionBinding(
            setting(
                "trusted-proxies", .list, "LIST", default: "loopback", in: "Listeners",
                "addresses and networks (10.0.0.0/8) whose X-Forwarded-For, -Proto and -Host are believed; loopback, none"
            ),
            lists: \.trustedProxies, TrustedProxies.parse),
    ]

    private static let messages: [OptionBinding<ServeOptions>] = [
        OptionBinding(
            setting(
                "store", .text, "URL", default: "sqlite:confab.db", in: "Messages",
                "where messages are kept: sqlite:PATH in a file, memory: until the process ends, redis://HOST:PORT for a cluster of nodes"
            ),
            sets: \.store, StoreLocation.parse),
        OptionBinding(
            setting(
                "history", .number, "N", default: "10000", in: "Messages",
                "messages kept of each conversation; 0 keeps all (only with sqlite:)"),
            sets: \.history, ValueParsing.integer(in: 0...1_000_000_000)),
    ]

    private static let cluster: [OptionBinding<ServeOptions>] = [
        OptionBinding(
            setting(
                "cluster-name", .text, "NAME", default: "confab", in: "Cluster",
                "first part of every key in Redis: clusters of different names can share one"),
            sets: \.clusterName, ClusterName.parse),
        OptionBinding(
            setting(
                "cluster-key-file", .file, "FILE", in: "Cluster",
                "what nodes sign their mail with, at least 32 bytes; needed with Redis where there is no --jwt-secret-file"
            ),
            sets: \.clusterKeyFile, ValueParsing.optionalText),
        OptionBinding(
            setting(
                "redis-ca-file", .file, "FILE", in: "Cluster",
                "certificate authorities (PEM) to believe for rediss://; without it the system's"),
            sets: \.redisCAFile, ValueParsing.optionalText),
    ]

    private static let identity: [OptionBinding<ServeOptions>] = [
        OptionBinding(
            setting(
                "jwt-secret-file", .file, "FILE", in: "Who may connect",
                "HS256 secret, at least 32 bytes; without it one is made beside the database on the first start, but not with Redis"
            ),
            sets: \.jwtSecretFile, ValueParsing.optionalText),
        OptionBinding(
            setting(
                "jwt-public-key-file", .files, "FILE", in: "Who may connect",
                "public key (PEM) for RS256, ES256 or EdDSA; repeatable"),
            lists: \.jwtPublicKeyFiles, ValueParsing.one(ValueParsing.text)),
        OptionBinding(
            setting(
                "jwks-file", .file, "FILE", in: "Who may connect",
                "JWK set; read again when it changes and on SIGHUP"),
            sets: \.jwksFile, ValueParsing.optionalText),
        OptionBinding(
            setting(
                "jwt-audience", .text, "AUDIENCE", in: "Who may connect",
                "required \"aud\" of a token"),
            sets: \.jwtAudience, ValueParsing.optionalText),
        OptionBinding(
            setting(
                "jwt-issuer", .text, "ISSUER", in: "Who may connect", "required \"iss\" of a token"),
            sets: \.jwtIssuer, ValueParsing.optionalText),
        OptionBinding(
            setting(
                "jwt-leeway", .number, "SECONDS", default: "0", in: "Who may connect",
                "allowed on a token's \"exp\" and \"nbf\""),
            sets: \.jwtLeeway, ValueParsing.seconds(in: .zero ... .seconds(3600))),
        OptionBinding(
            setting(
                "anonymous", .toggle, "on|off", default: "on for loopback without Redis",
                in: "Who may connect",
                "whether a client may come without a token where its dialect allows that"),
            sets: \.anonymous, ValueParsing.toggle),
    ]

    private static let node: [OptionBinding<ServeOptions>] = [
        OptionBinding(
            setting(
                "node-id", .text, "NAME", default: "host name and a random suffix", in: "Node",
                "unique name of this node"),
            sets: \.nodeID, ValueParsing.optional(ValueParsing.name("._-", upTo: 64))),
        OptionBinding(
            setting(
                "loops", .number, "N", default: "number of cores less one", in: "Node",
                "event-loop threads"),
            sets: \.loops, ValueParsing.optionalInteger(in: 1...256)),
        OptionBinding(
            setting(
                "io-uring", .toggle, "on|off", default: "on", in: "Node",
                "sends a message to many sockets with one call of the kernel, where the kernel lets us"
            ),
            sets: \.ioUring, ValueParsing.toggle),
        OptionBinding(
            setting(
                "drain-seconds", .number, "SECONDS", default: "10", in: "Node",
                "how long SIGTERM spreads the closing of connections"),
            sets: \.drain, ValueParsing.seconds(in: .zero ... .seconds(86_400))),
        OptionBinding(
            setting("limit", .limits, "NAME=VALUE", in: "Node", "changes a limit; repeatable"),
            changes: \.limits,
            { (limits: inout Limits, text: String) throws(ValueProblem) in
                try LimitTable.apply(text, to: &limits)
            }),
        OptionBinding(
            setting(
                "echo-path", .text, "PATH", default: "off", in: "Node",
                "mounts a plain WebSocket echo, for conformance suites and for checking proxies end to end"
            ),
            sets: \.echoPath, EchoPath.parse),
    ]

    private static let logging: [OptionBinding<ServeOptions>] = [
        OptionBinding(
            setting(
                "log-level", .choice(LogLevel.allCases.map(\.rawValue)), "LEVEL", default: "info",
                in: "Logging",
                "write events of this level and graver: \(LogLevel.allCases.map(\.rawValue).joined(separator: ", "))"
            ),
            sets: \.logLevel, ValueParsing.choice(LogLevel.self)),
        OptionBinding(
            setting(
                "log-format", .choice(LogFormat.allCases.map(\.rawValue)), "text|json",
                default: "text", in: "Logging",
                "lines for people or for programs, on standard error"),
            sets: \.logFormat, ValueParsing.choice(LogFormat.self)),
    ]
}

private enum TrustedProxies {
    static func parse(_ text: String) throws(ValueProblem) -> [IPNetwork] {
        switch text {
        case "loopback": return IPNetwork.loopback
        case "none": return []
        default:
            guard let network = IPNetwork(text) else {
                throw ValueProblem(
                    "\(text.quoted) is no address or network such as 10.0.0.0/8, nor loopback or none"
                )
            }
            return [network]
        }
    }
}

/// Names of request header fields, as `--cors-headers` lists them.
private enum HeaderNames {
    static func parse(_ text: String) throws(ValueProblem) -> [String] {
        if text == "none" { return [] }
        let isName =
            (1...64).contains(text.utf8.count) && text != "*"
            && text.utf8.allSatisfy {
                $0.isASCIILetterOrDigit || "!#$%&'*+-.^_`|~".utf8.contains($0)
            }
        guard isName else {
            throw ValueProblem("\(text.quoted) is no name of a header such as traceparent")
        }
        return [text.lowercased()]
    }
}

enum ClusterName {
    static func parse(_ text: String) throws(ValueProblem) -> String {
        let isName =
            (1...32).contains(text.utf8.count)
            && text.utf8.allSatisfy { "abcdefghijklmnopqrstuvwxyz0123456789-".utf8.contains($0) }
        guard isName else {
            throw ValueProblem("\(text.quoted) is not 1 to 32 of the characters a-z 0-9 -")
        }
        return text
    }
}

private enum EchoPath {
    static func parse(_ text: String) throws(ValueProblem) -> String? {
        if text == "off" { return nil }
        let isPath =
            text.hasPrefix("/") && text.utf8.count > 1
            && text.utf8.allSatisfy { $0.isASCIILetterOrDigit || "/-._~".utf8.contains($0) }
        guard isPath else { throw ValueProblem("\(text.quoted) is no path such as /echo") }
        return text
    }
}
