internal import RedisClient

/// The options of `confab token`.
enum TokenTable {
    /// `TokenOptions` while it is read: its key may still be missing or given twice.
    struct Draft: Sendable {
        var options = TokenOptions()
        var secretFile: String?
        var database: String?
    }

    static let bindings: [OptionBinding<Draft>] = [
        OptionBinding(
            .client("sub", .text, "USER", in: "Who", "the user's id; required"),
            sets: \.options.subject, ValueParsing.person),
        OptionBinding(
            .client(
                "username", .text, "NAME", default: "the id", in: "Who", "the name that others see"),
            sets: \.options.username, ValueParsing.optional(ValueParsing.person)),
        OptionBinding(
            .client(
                "tenant", .text, "TENANT", default: "the server's default", in: "Who", "the tenant"),
            sets: \.options.tenant, ValueParsing.optional(ValueParsing.name("._-", upTo: 64))),
        OptionBinding(
            .client("agent", .text, "AGENT", in: "Who", "the agent's id, for the Agents protocol"),
            sets: \.options.agent, ValueParsing.optional(ValueParsing.person)),
        OptionBinding(
            .client(
                "conversations", .list, "LIST|*", in: "What it opens",
                "ids of conversations that it opens, with commas between; * for all"),
            changes: \.options.conversations, add),
        OptionBinding(
            .client("admin", .flag, "", in: "What it opens", "may do what is the admins'"),
            changes: \.options.isAdmin,
            { (isAdmin: inout Bool, _: String) throws(ValueProblem) in isAdmin = true }),
        OptionBinding(
            .client(
                "ttl", .text, "TIME", default: "1h", in: "What it opens",
                "how long it is good: 90s, 30m, 1h, 7d"),
            sets: \.options.lifetime, ValueParsing.lifetime),
        OptionBinding(
            .client(
                "audience", .text, "AUDIENCE", in: "What it opens",
                "\"aud\", where the server requires one"),
            sets: \.options.audience, ValueParsing.optionalText),
        OptionBinding(
            .client(
                "issuer", .text, "ISSUER", in: "What it opens",
                "\"iss\", where the server requires one"),
            sets: \.options.issuer, ValueParsing.optionalText),
        OptionBinding(
            .client(
                "secret-file", .file, "FILE", in: "What signs it (one of these)",
                "the server's --jwt-secret-file"),
            sets: \.secretFile, ValueParsing.optionalText),
        OptionBinding(
            .client(
                "database", .file, "PATH", in: "What signs it (one of these)",
                "the server's database, beside which it made its secret; confab.db unless it was told otherwise"
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
    static let bindings: [OptionBinding<ChatOptions>] = [
        OptionBinding(
            .client(
                "dialect", .choice(ChatOptions.ChatProtocol.allCases.map(\.rawValue)),
                "conversations|pets|chats|rooms|agents",
                default: "the URL's, else conversations", in: "Where", "the protocol to speak"),
            sets: \.dialect, Self.dialect),
        OptionBinding(
            .client(
                "conversation", .text, "ID", default: "the URL's", in: "Where",
                "the conversation: chat, room or channel, as the protocol calls it; without one, chats makes one, and agents has its inbox"
            ),
            sets: \.conversation, ValueParsing.optional(ValueParsing.name("._:-", upTo: 128))),
        OptionBinding(
            .client(
                "name", .text, "NAME", in: "Who",
                "what to be called without a token; chats and rooms only"),
            sets: \.name, ValueParsing.optional(ValueParsing.person)),
        OptionBinding(
            .client(
                "token", .text, "TOKEN", in: "Who",
                "the token to enter with; others on this machine can see it: prefer --token-file"),
            sets: \.token, ValueParsing.optionalText),
        OptionBinding(
            .client(
                "token-file", .file, "FILE", in: "Who",
                "a file with the token; - reads it from standard input"),
            sets: \.tokenFile, ValueParsing.optionalText),
        OptionBinding(
            .client(
                "ca-file", .file, "FILE", in: "Options",
                "authorities that a wss server's certificate may be signed by, in PEM"),
            sets: \.authorities, ValueParsing.optionalText),
        OptionBinding(
            .client(
                "plain", .flag, "", in: "Options",
                "lines only: no colour, no moving cursor; for pipes and screen readers"),
            changes: \.isPlain,
            { (isPlain: inout Bool, _: String) throws(ValueProblem) in isPlain = true }),
    ]

    private static let dialect:
        @Sendable (String) throws(ValueProblem) -> ChatOptions.ChatProtocol? =
            ValueParsing.optional(
                ValueParsing.choice(ChatOptions.ChatProtocol.self))
}

/// The options of `confab bench`.
enum BenchTable {
    static let bindings: [OptionBinding<BenchOptions>] = [
        OptionBinding(
            .client("connections", .number, "N", default: "100", in: "Load", "connections in all"),
            sets: \.connections, ValueParsing.integer(in: 1...1_000_000)),
        OptionBinding(
            .client(
                "groups", .number, "N", default: "10", in: "Load",
                "conversations that they spread over (groups, idle, connect)"),
            sets: \.groups, ValueParsing.integer(in: 1...1_000_000)),
        OptionBinding(
            .client(
                "publishers", .number, "N", default: "1", in: "Load",
                "connections that send, in each conversation"),
            sets: \.publishers, ValueParsing.integer(in: 1...1_000_000)),
        OptionBinding(
            .client(
                "rate", .number, "N", default: "50", in: "Load",
                "messages a second in all; 0 sends as fast as --window lets"),
            sets: \.rate, ValueParsing.integer(in: 0...10_000_000)),
        OptionBinding(
            .client(
                "window", .number, "N", default: "64", in: "Load",
                "with --rate 0: messages that are on their way to somebody at any time"),
            sets: \.window, ValueParsing.integer(in: 1...1_000_000)),
        OptionBinding(
            .client(
                "message-bytes", .number, "N", default: "128", in: "Load",
                "bytes of a message's content"),
            sets: \.messageBytes, ValueParsing.integer(in: 32...1_048_576)),
        OptionBinding(
            .client(
                "adapter", .choice(BenchOptions.BenchAdapter.allCases.map(\.rawValue)),
                "confab|pets|chats|rooms|rooms-polling|agents|mixed|raw",
                default: "confab", in: "Load",
                "what to speak: Conversations, another protocol (rooms-polling: who only listens polls), all of them mixed, or raw frames to a plain server"
            ),
            sets: \.adapter, ValueParsing.choice(BenchOptions.BenchAdapter.self)),
        OptionBinding(
            .client(
                "secret-file", .file, "FILE", in: "Load",
                "the server's --jwt-secret-file, to sign the users' tokens with"),
            sets: \.secretFile, ValueParsing.optionalText),
        OptionBinding(
            .client(
                "concurrency", .number, "N", default: "64", in: "Load",
                "handshakes that are open at any time"),
            sets: \.concurrency, ValueParsing.integer(in: 1...10_000)),
        OptionBinding(
            .client(
                "ca-file", .file, "FILE", in: "Load",
                "authorities that a wss server's certificate may be signed by, in PEM"),
            sets: \.authorities, ValueParsing.optionalText),
        OptionBinding(
            .client(
                "settle", .number, "SECONDS", default: "3", in: "Measuring",
                "how long to leave the server alone after connecting"),
            sets: \.settle, ValueParsing.seconds(in: .zero ... .seconds(600))),
        OptionBinding(
            .client(
                "seconds", .number, "SECONDS", default: "10", in: "Measuring", "how long to measure"
            ),
            sets: \.duration, ValueParsing.seconds(in: .milliseconds(100) ... .seconds(604_800))),
        OptionBinding(
            .client(
                "warmup", .number, "SECONDS", default: "2", in: "Measuring",
                "how long to run before that"),
            sets: \.warmup, ValueParsing.seconds(in: .zero ... .seconds(3600))),
        OptionBinding(
            .client(
                "server-pid", .list, "PID", in: "Measuring",
                "processes on this machine whose CPU and memory are measured, too: nodes, redis-server; with commas between, or repeated"
            ),
            lists: \.serverProcesses,
            ValueParsing.list(ValueParsing.integer(in: 1...Int(Int32.max)))),
        OptionBinding(
            .client(
                "redis", .text, "URL", in: "Measuring",
                "the redis:// server of the nodes: counts the commands that it gets"),
            sets: \.redis, Self.redis),
        OptionBinding(
            .client(
                "output", .choice(OutputFormat.allCases.map(\.rawValue)), "text|json",
                default: "text", in: "Measuring",
                "a report for people or one JSON document"),
            sets: \.output, ValueParsing.choice(OutputFormat.self)),
    ]

    /// Counters are those of one server, and asked for by the plain protocol.
    private static let redis: @Sendable (String) throws(ValueProblem) -> RedisURL? = {
        (text: String) throws(ValueProblem) in
        let url = try RedisStoreURL.parse(text)
        guard url.kind == .standalone, !url.isSecure else {
            throw ValueProblem("counts are asked of one server: redis://HOST:PORT")
        }
        return url
    }
}

extension OptionSpec {
    /// An option that only the command line has, and perhaps a variable.
    static func client(
        _ name: String, _ form: Form, _ placeholder: String, default defaultText: String? = nil,
        in group: String, _ help: String,
        variable: String? = nil
    ) -> OptionSpec {
        let help = help + (variable.map { " (or the variable \($0))" } ?? "")
        return OptionSpec(
            name: name, form: form, placeholder: placeholder, defaultText: defaultText, help: help,
            group: group, isSetting: false,
            variable: variable)
    }
}

/// The URL of a server.
enum ServerURL {
    /// Says only whether it can be one; who connects reads it in full.
    static func parse(_ text: String) throws(ValueProblem) -> String {
        let rest = ["ws://", "wss://", "http://", "https://"].first {
            text.lowercased().hasPrefix($0)
        }.map { text.dropFirst($0.count) }
        let host = rest.map { $0.prefix { $0 != "/" && $0 != "?" && $0 != "#" } } ?? ""
        let isPlain = text.unicodeScalars.allSatisfy { $0.value > 0x20 && $0.value != 0x7F }
        guard !host.isEmpty, !host.hasPrefix(":"), isPlain else {
            throw ValueProblem("\(text.quoted) is no URL such as ws://127.0.0.1:8080")
        }
        return text
    }
}
