internal import Bytes
internal import ChatModel
internal import Telemetry

/// The options of `confab serve`. This table is the only place to add one.
enum ServeTable {
    static func bindings(_ stores: StoreChoices) -> [OptionBinding<ServeOptions>] {
        listeners + messages(stores) + cluster + identity + webhooks + node + logging
    }

    /// All options in the order of the help, `--config` last.
    static func options(_ stores: StoreChoices) -> [OptionSpec] {
        bindings(stores).map(\.spec) + [
            setting(
                "config", .file, "FILE", in: "Configuration",
                "JSON file with settings: {\"listen\": \"0.0.0.0:80\"}")
        ]
    }

    /// The names and forms, which depend on no store.
    static let withoutStores = options(.none)

    private static func setting(
        _ name: String, _ form: OptionSpec.Form, _ placeholder: String,
        default defaultText: String? = nil, in group: String, _ help: String,
        prefixes: [String] = []
    ) -> OptionSpec {
        OptionSpec(
            name: name, form: form, placeholder: placeholder, defaultText: defaultText, help: help,
            group: group, isSetting: true, prefixes: prefixes)
    }

    private static let listeners: [OptionBinding<ServeOptions>] = [
        OptionBinding(
            setting(
                "listen", .text, "HOST:PORT", default: "127.0.0.1:8080", in: "Listeners",
                "the listener for clients; port 0: a free port"),
            sets: \.listen, ListenAddress.parse),
        OptionBinding(
            setting(
                "admin", .text, "HOST:PORT|off", default: "127.0.0.1:8090", in: "Listeners",
                "the listener for operators and /metrics, or off"),
            sets: \.admin, ListenAddress.parseOptional),
        OptionBinding(
            setting(
                "admin-token-file", .file, "FILE", in: "Listeners",
                "bearer tokens; required unless --admin is loopback"),
            sets: \.adminTokenFile, ValueParsing.optionalText),
        OptionBinding(
            setting(
                "admin-token", .toggle, "on|off", default: "on", in: "Listeners",
                "off: everybody on this machine operates without a token"),
            sets: \.requiresAdminToken, AdminTokenToggle.parse),
        OptionBinding(
            setting(
                "tls-cert", .file, "FILE", in: "Listeners",
                "certificate chain (PEM), to serve https and wss"),
            sets: \.tlsCertificateFile, ValueParsing.optionalText),
        OptionBinding(
            setting(
                "tls-key", .file, "FILE", in: "Listeners", "private key (PEM) of the certificate"),
            sets: \.tlsKeyFile, ValueParsing.optionalText),
        OptionBinding(
            setting(
                "origins", .list, "LIST", default: AllowedOrigins.standardText, in: "Listeners",
                "browser origins to allow, besides the server's own"),
            changes: \.origins, reset: { $0 = AllowedOrigins() },
            { (origins: inout AllowedOrigins, text: String) throws(ValueProblem) in
                try AllowedOrigins.add(text, to: &origins)
            }),
        OptionBinding(
            setting(
                "cors-headers", .list, "LIST", in: "Listeners",
                "additional request headers for pages: traceparent"
            ),
            lists: \.corsHeaders, HeaderNames.parse),
        OptionBinding(
            setting(
                "public-url", .text, "URL", in: "Listeners",
                "public URL for links: https://chat.example"
            ),
            sets: \.publicURL, ValueParsing.optional(PublicURL.parse)),
        OptionBinding(
            setting(
                "host", .list, "NAME", in: "Listeners",
                "name of the node, where no token is needed; repeatable"),
            lists: \.hosts, HostName.parse),
        OptionBinding(
            setting(
                "trusted-proxies", .list, "LIST", default: "loopback", in: "Listeners",
                "proxies whose X-Forwarded fields are trusted"
            ),
            lists: \.trustedProxies, TrustedProxies.parse),
    ]

    private static func messages(_ stores: StoreChoices) -> [OptionBinding<ServeOptions>] {
        [
            OptionBinding(
                setting(
                    "store", .text, "URL", default: stores.standard, in: "Messages",
                    "the message store: \(stores.helpList)",
                    prefixes: stores.kinds.flatMap(\.prefixes)
                ),
                sets: \.store, stores.parse),
            OptionBinding(
                setting(
                    "history", .number, "N", default: "10000", in: "Messages",
                    "messages per conversation; 0: all (\(stores.unlimitedList) only)"),
                sets: \.limits.historyLimit, ValueParsing.integer(in: 0...1_000_000_000)),
        ]
    }

    private static let cluster: [OptionBinding<ServeOptions>] = [
        OptionBinding(
            setting(
                "cluster-name", .text, "NAME", default: "confab", in: "Cluster",
                "prefix of the keys in Redis, one per cluster"),
            sets: \.clusterName, ClusterName.parse),
        OptionBinding(
            setting(
                "cluster-key-file", .file, "FILE", in: "Cluster",
                "key for messages between nodes, at least 32 bytes"
            ),
            sets: \.clusterKeyFile, ValueParsing.optionalText),
        OptionBinding(
            setting(
                "redis-ca-file", .file, "FILE", in: "Cluster",
                "CA certificates (PEM) for rediss://"),
            sets: \.redisCAFile, ValueParsing.optionalText),
    ]

    private static let identity: [OptionBinding<ServeOptions>] = [
        OptionBinding(
            setting(
                "jwt-secret-file", .file, "FILE", in: "Authentication",
                "HS256 secret, at least 32 bytes"
            ),
            sets: \.jwtSecretFile, ValueParsing.optionalText),
        OptionBinding(
            setting(
                "jwt-public-key-file", .files, "FILE", in: "Authentication",
                "RS256, ES256 or EdDSA public key (PEM); repeatable"),
            lists: \.jwtPublicKeyFiles, ValueParsing.one(ValueParsing.text)),
        OptionBinding(
            setting(
                "jwks-file", .file, "FILE", in: "Authentication",
                "JWK set; reloaded on change and on SIGHUP"),
            sets: \.jwksFile, ValueParsing.optionalText),
        OptionBinding(
            setting(
                "jwt-audience", .text, "AUDIENCE", in: "Authentication",
                "required \"aud\" claim of a token"),
            sets: \.jwtAudience, ValueParsing.optionalText),
        OptionBinding(
            setting(
                "jwt-issuer", .text, "ISSUER", in: "Authentication",
                "required \"iss\" claim of a token"),
            sets: \.jwtIssuer, ValueParsing.optionalText),
        OptionBinding(
            setting(
                "jwt-leeway", .number, "SECONDS", default: "0", in: "Authentication",
                "tolerance for the \"exp\" and \"nbf\" claims"),
            sets: \.jwtLeeway, ValueParsing.seconds(in: .zero ... .seconds(3600))),
        OptionBinding(
            setting(
                "anonymous", .toggle, "on|off", default: "on for loopback without Redis",
                in: "Authentication",
                "allow connections without a token"),
            sets: \.anonymous, ValueParsing.toggle),
        OptionBinding(
            setting(
                "default-access", .choice(DefaultAccess.allCases.map(\.rawValue)), "open|closed",
                default: "open", in: "Authentication",
                "who may join what REST and Chats create: open to any user"),
            sets: \.defaultAccess, ValueParsing.choice(DefaultAccess.self)),
    ]

    private static let webhooks: [OptionBinding<ServeOptions>] = [
        OptionBinding(
            setting(
                "webhook", .list, "URL", in: "Webhooks",
                "receiver of events as signed JSON; repeatable, at most 8"),
            lists: \.webhooks, ValueParsing.one(WebhookURL.parse)),
        OptionBinding(
            setting(
                "webhook-events", .list, "LIST", default: "all", in: "Webhooks",
                "events to send, such as message, member.joined"),
            lists: \.webhookEvents, WebhookEventType.parse),
        OptionBinding(
            setting(
                "webhook-secret-file", .file, "FILE", in: "Webhooks",
                "secrets that sign the requests, one on each line: whsec_..."),
            sets: \.webhookSecretFile, ValueParsing.optionalText),
        OptionBinding(
            setting(
                "webhook-allow", .list, "LIST", default: "none", in: "Webhooks",
                "private networks that receivers may be in: 10.0.0.0/8"),
            lists: \.webhookAllow, WebhookNetworks.parse),
    ]

    private static let node: [OptionBinding<ServeOptions>] = [
        OptionBinding(
            setting(
                "node-id", .text, "NAME", default: "host name and a random suffix", in: "Node",
                "unique name of the node"),
            sets: \.nodeID, ValueParsing.optional(ValueParsing.name("._-", upTo: 64))),
        OptionBinding(
            setting(
                "loops", .number, "N", default: "number of cores less one", in: "Node",
                "number of event-loop threads"),
            sets: \.loops, ValueParsing.optionalInteger(in: 1...256)),
        OptionBinding(
            setting(
                "io-uring", .toggle, "on|off", default: "on", in: "Node",
                "use io_uring for broadcasts, if available"
            ),
            sets: \.ioUring, ValueParsing.toggle),
        OptionBinding(
            setting(
                "drain-seconds", .number, "SECONDS", default: "10", in: "Node",
                "time over which a drain closes connections"),
            sets: \.drain, ValueParsing.seconds(in: .zero ... .seconds(86_400))),
        OptionBinding(
            setting("limit", .limits, "NAME=VALUE", in: "Node", "set a limit; repeatable"),
            changes: \.limits,
            { (limits: inout Limits, text: String) throws(ValueProblem) in
                try LimitTable.apply(text, to: &limits)
            }),
        OptionBinding(
            setting(
                "echo-path", .text, "PATH", default: "off", in: "Node",
                "path of a WebSocket echo endpoint, for tests"
            ),
            sets: \.echoPath, EchoPath.parse),
    ]

    private static let logging: [OptionBinding<ServeOptions>] = [
        OptionBinding(
            setting(
                "log-level", .choice(LogLevel.allCases.map(\.rawValue)), "LEVEL", default: "info",
                in: "Logging",
                "minimum level: \(LogLevel.allCases.map(\.rawValue).joined(separator: ", "))"
            ),
            sets: \.logLevel, ValueParsing.choice(LogLevel.self)),
        OptionBinding(
            setting(
                "log-format", .choice(LogFormat.allCases.map(\.rawValue)), "text|json",
                default: "text", in: "Logging",
                "format of the log on standard error"),
            sets: \.logFormat, ValueParsing.choice(LogFormat.self)),
    ]
}

/// `--admin-token`, whose value could be mistaken for a token.
private enum AdminTokenToggle {
    /// - Throws: an error without the value, because it may be a secret.
    static func parse(_ text: String) throws(ValueProblem) -> Bool {
        guard text == "on" || text == "off" else {
            throw ValueProblem("must be on or off; --admin-token-file names a file with tokens")
        }
        return text == "on"
    }
}

private enum TrustedProxies {
    static func parse(_ text: String) throws(ValueProblem) -> [IPNetwork] {
        switch text {
        case "loopback": return IPNetwork.loopback
        case "none": return []
        default:
            guard let network = IPNetwork(text) else {
                throw ValueProblem(
                    """
                    \(text.quoted) is not loopback, none, or an address or network such as \
                    10.0.0.0/8
                    """
                )
            }
            return [network]
        }
    }
}

/// Names of the node, for `--host`.
private enum HostName {
    static func parse(_ text: String) throws(ValueProblem) -> [String] {
        let name = (text.hasSuffix(".") ? text.dropLast() : text[...]).lowercased()
        let isName =
            (1...253).contains(name.utf8.count) && !name.hasPrefix(".")
            && name.utf8.allSatisfy { $0.isASCIILetterOrDigit || "-._".utf8.contains($0) }
        guard isName else {
            throw ValueProblem(
                "\(text.quoted) is not a name without a port, such as chat.example")
        }
        return [name]
    }
}

/// Names of request header fields, for `--cors-headers`.
private enum HeaderNames {
    static func parse(_ text: String) throws(ValueProblem) -> [String] {
        if text == "none" { return [] }
        let isName =
            (1...64).contains(text.utf8.count) && text != "*"
            && text.utf8.allSatisfy {
                $0.isASCIILetterOrDigit || "!#$%&'*+-.^_`|~".utf8.contains($0)
            }
        guard isName else {
            throw ValueProblem("\(text.quoted) is not a header name such as traceparent")
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
        guard isPath else { throw ValueProblem("\(text.quoted) is not a path such as /echo") }
        return text
    }
}
