internal import RedisClient

/// The options of `confab token`.
enum TokenTable {
    /// `TokenOptions` during parsing: the key may still be missing or given twice.
    struct Draft: Sendable {
        var options = TokenOptions()
        var secretFile: String?
        var database: String?
    }

    static let bindings: [OptionBinding<Draft>] = [
        OptionBinding(
            .client("sub", .text, "USER", in: "Identity", "the user's id (required)"),
            sets: \.options.subject, ValueParsing.person),
        OptionBinding(
            .client(
                "username", .text, "NAME", default: "the id", in: "Identity", "the display name"),
            sets: \.options.username, ValueParsing.optional(ValueParsing.person)),
        OptionBinding(
            .client(
                "tenant", .text, "TENANT", default: "the server's default", in: "Identity",
                "the tenant"),
            sets: \.options.tenant, ValueParsing.optional(ValueParsing.name("._-", upTo: 64))),
        OptionBinding(
            .client(
                "agent", .text, "AGENT", in: "Identity", "the agent's id in the Agents protocol"),
            sets: \.options.agent, ValueParsing.optional(ValueParsing.person)),
        OptionBinding(
            .client(
                "conversations", .list, "LIST|*", in: "Grants",
                "conversation ids, separated by commas; * for all"),
            changes: \.options.conversations, add),
        OptionBinding(
            .client("admin", .flag, "", in: "Grants", "grant admin rights"),
            changes: \.options.isAdmin,
            { (isAdmin: inout Bool, _: String) throws(ValueProblem) in isAdmin = true }),
        OptionBinding(
            .client(
                "ttl", .text, "TIME", default: "1h", in: "Grants",
                "the lifetime: 90s, 30m, 1h, 7d"),
            sets: \.options.lifetime, ValueParsing.lifetime),
        OptionBinding(
            .client(
                "audience", .text, "AUDIENCE", in: "Grants",
                "the \"aud\" claim, if the server requires one"),
            sets: \.options.audience, ValueParsing.optionalText),
        OptionBinding(
            .client(
                "issuer", .text, "ISSUER", in: "Grants",
                "the \"iss\" claim, if the server requires one"),
            sets: \.options.issuer, ValueParsing.optionalText),
        OptionBinding(
            .client(
                "secret-file", .file, "FILE", in: "Signing key (one of these)",
                "the server's --jwt-secret-file"),
            sets: \.secretFile, ValueParsing.optionalText),
        OptionBinding(
            .client(
                "database", .file, "PATH", in: "Signing key (one of these)",
                "the server's database; its secret is next to it"
            ),
            sets: \.database, ValueParsing.optionalText),
    ]

    private static func add(_ text: String, to conversations: inout TokenOptions.Conversations?)
        throws(ValueProblem)
    {
        if text == "*" {
            conversations = .all
            return
        }
        let id = try ValueParsing.name("._:-", upTo: 128)(text)
        switch conversations {
        case .all: break
        case .listed(let ids): conversations = .listed(ids + [id])
        case nil: conversations = .listed([id])
        }
    }

    private static let add:
        @Sendable (inout TokenOptions.Conversations?, String) throws(ValueProblem) -> Void = {
            (conversations: inout TokenOptions.Conversations?, text: String) throws(ValueProblem) in
            try Self.add(text, to: &conversations)
        }
}

/// The options of `confab chat`.
enum ChatTable {
    static func bindings(_ choices: DialectChoices) -> [OptionBinding<ChatOptions>] {
        let names = choices.chat.map(\.name)
        let named = choices.chat.filter(\.acceptsNames).map(\.name).joined(separator: ", ")
        let dialect = OptionBinding<ChatOptions>(
            .client(
                "dialect", .choice(names), names.joined(separator: "|"),
                default: "the URL's, else \(names.first ?? "")", in: "Target", "the protocol"),
            sets: \.dialect, ValueParsing.optional(ValueParsing.choice(of: names)))
        let name = OptionBinding<ChatOptions>(
            .client(
                "name", .text, "NAME", in: "Identity", "name of an anonymous user (\(named))"),
            sets: \.name, ValueParsing.optional(ValueParsing.person))
        return [dialect, Self.conversation, name] + Self.others
    }

    private static let conversation = OptionBinding<ChatOptions>(
        .client(
            "conversation", .text, "ID", default: "the URL's", in: "Target",
            "the id of the conversation, chat, room or channel"
        ),
        sets: \.conversation, ValueParsing.optional(ValueParsing.name("._:-", upTo: 128)))

    private static let others: [OptionBinding<ChatOptions>] = [
        OptionBinding(
            .client(
                "token", .text, "TOKEN", in: "Identity",
                "the token, visible to other users of this machine"),
            sets: \.token, ValueParsing.optionalText),
        OptionBinding(
            .client(
                "token-file", .file, "FILE", in: "Identity",
                "a file with the token; - for standard input"),
            sets: \.tokenFile, ValueParsing.optionalText),
        OptionBinding(
            .client(
                "ca-file", .file, "FILE", in: "Options",
                "CA certificates (PEM) for wss"),
            sets: \.authorities, ValueParsing.optionalText),
        OptionBinding(
            .client(
                "plain", .flag, "", in: "Options",
                "plain lines, without colour and cursor movement"),
            changes: \.isPlain,
            { (isPlain: inout Bool, _: String) throws(ValueProblem) in isPlain = true }),
    ]
}

/// The options of `confab bench`.
enum BenchTable {
    static func bindings(_ choices: DialectChoices) -> [OptionBinding<BenchOptions>] {
        let names = choices.adapters.map(\.name)
        let adapter = OptionBinding<BenchOptions>(
            .client(
                "adapter", .choice(choices.adapterNames), names.joined(separator: "|"),
                default: names.first,
                in: "Load", "the protocol; confab is Conversations, raw is none"),
            sets: \.adapter, ValueParsing.optional(ValueParsing.choice(of: choices.adapterNames)))
        return Self.load + [adapter] + Self.others
    }

    private static let load: [OptionBinding<BenchOptions>] = [
        OptionBinding(
            .client(
                "connections", .number, "N", default: "100", in: "Load",
                "total number of connections"),
            sets: \.connections, ValueParsing.integer(in: 1...1_000_000)),
        OptionBinding(
            .client(
                "groups", .number, "N", default: "10", in: "Load",
                "number of conversations (groups, idle, connect)"),
            sets: \.groups, ValueParsing.integer(in: 1...1_000_000)),
        OptionBinding(
            .client(
                "publishers", .number, "N", default: "1", in: "Load",
                "sending connections per conversation"),
            sets: \.publishers, ValueParsing.integer(in: 1...1_000_000)),
        OptionBinding(
            .client(
                "rate", .number, "N", default: "50", in: "Load",
                "total messages per second; 0: limited by --window"),
            sets: \.rate, ValueParsing.integer(in: 0...10_000_000)),
        OptionBinding(
            .client(
                "window", .number, "N", default: "64", in: "Load",
                "with --rate 0: messages in flight"),
            sets: \.window, ValueParsing.integer(in: 1...1_000_000)),
        OptionBinding(
            .client(
                "message-bytes", .number, "N", default: "128", in: "Load",
                "size of a message's content"),
            sets: \.messageBytes, ValueParsing.integer(in: 32...1_048_576)),
    ]

    private static let others: [OptionBinding<BenchOptions>] = [
        OptionBinding(
            .client(
                "secret-file", .file, "FILE", in: "Load",
                "the server's --jwt-secret-file, to sign tokens"),
            sets: \.secretFile, ValueParsing.optionalText),
        OptionBinding(
            .client(
                "concurrency", .number, "N", default: "64", in: "Load",
                "concurrent handshakes"),
            sets: \.concurrency, ValueParsing.integer(in: 1...10_000)),
        OptionBinding(
            .client(
                "ca-file", .file, "FILE", in: "Load",
                "CA certificates (PEM) for wss"),
            sets: \.authorities, ValueParsing.optionalText),
        OptionBinding(
            .client(
                "settle", .number, "SECONDS", default: "3", in: "Measurement",
                "pause after connecting"),
            sets: \.settle, ValueParsing.seconds(in: .zero ... .seconds(600))),
        OptionBinding(
            .client(
                "seconds", .number, "SECONDS", default: "10", in: "Measurement",
                "duration of the measurement"
            ),
            sets: \.duration, ValueParsing.seconds(in: .milliseconds(100) ... .seconds(604_800))),
        OptionBinding(
            .client(
                "warmup", .number, "SECONDS", default: "2", in: "Measurement",
                "time to send before the measurement"),
            sets: \.warmup, ValueParsing.seconds(in: .zero ... .seconds(3600))),
        OptionBinding(
            .client(
                "server-pid", .list, "PID", in: "Measurement",
                "local processes to measure, separated by commas"
            ),
            lists: \.serverProcesses,
            ValueParsing.list(Self.process)),
        OptionBinding(
            .client(
                "redis", .text, "URL", in: "Measurement",
                "the nodes' Redis, to count its commands"),
            sets: \.redis, Self.redis),
        OptionBinding(
            .client(
                "output", .choice(OutputFormat.allCases.map(\.rawValue)), "text|json",
                default: "text", in: "Measurement",
                "a report, or a JSON document"),
            sets: \.output, ValueParsing.choice(OutputFormat.self)),
    ]

    private static let process: @Sendable (String) throws(ValueProblem) -> Int32 = {
        (text: String) throws(ValueProblem) in
        Int32(try ValueParsing.integer(in: 1...Int(Int32.max))(text))
    }

    /// Only a single server over plain TCP, because the counters belong to one server.
    private static let redis: @Sendable (String) throws(ValueProblem) -> RedisURL? = {
        (text: String) throws(ValueProblem) in
        let url = try RedisStoreURL.parse(text)
        guard url.kind == .standalone, !url.isSecure else {
            throw ValueProblem("commands are counted on a single server: redis://HOST:PORT")
        }
        return url
    }
}

extension OptionSpec {
    /// An option of the command line, optionally with an environment variable, but not in the
    /// configuration file.
    static func client(
        _ name: String, _ form: Form, _ placeholder: String, default defaultText: String? = nil,
        in group: String, _ help: String,
        variable: String? = nil
    ) -> OptionSpec {
        let help = help + (variable.map { " [env: \($0)]" } ?? "")
        return OptionSpec(
            name: name, form: form, placeholder: placeholder, defaultText: defaultText, help: help,
            group: group, isSetting: false,
            variable: variable)
    }
}

/// The URL of a server.
enum ServerURL {
    /// Checks only the form; the client parses the URL.
    static func parse(_ text: String) throws(ValueProblem) -> String {
        let rest = ["ws://", "wss://", "http://", "https://"].first {
            text.lowercased().hasPrefix($0)
        }.map { text.dropFirst($0.count) }
        let host = rest.map { $0.prefix { $0 != "/" && $0 != "?" && $0 != "#" } } ?? ""
        let isPlain = text.unicodeScalars.allSatisfy { $0.value > 0x20 && $0.value != 0x7F }
        guard !host.isEmpty, !host.hasPrefix(":"), isPlain else {
            throw ValueProblem("\(text.quoted) is not a URL such as ws://127.0.0.1:8080")
        }
        return text
    }
}
