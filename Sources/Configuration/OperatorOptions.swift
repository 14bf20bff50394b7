public import RedisClient

/// The options of the subcommands for operators, such as `confab nodes`.
public struct OperatorOptions: Sendable, Equatable {
    public enum Verb: String, Sendable, CaseIterable {
        case status, nodes, shards, owner, history, tail, send, verify, redis, events, drain, resume
    }

    public enum Output: String, Sendable, CaseIterable { case table, json, csv }

    public var verb = Verb.status
    /// The admin listener of any node: http, and a host.
    public var url = "http://127.0.0.1:8090"
    public var tokenFile: String?
    /// If set, the data is read from this Redis, without a node.
    public var via: RedisURL?
    public var clusterName = "confab"
    public var redisCAFile: String?
    public var output = Output.table
    /// A column's title, or its key in the JSON document. A leading minus sorts in descending
    /// order.
    public var sort: String?
    public var limit: Int?
    /// Repeats the output, with this interval.
    public var watch: Duration?
    public var tenant = "default"
    public var node: String?
    public var conversation = ""
    public var text = ""
    public var user = ""
    public var last: Int?
    public var after: Int?
    /// Continues with new entries.
    public var follows = false
    /// Clients to close per second, and the time limit for closing them; nil for the node's own
    /// settings.
    public var rate: Int?
    public var deadline: Duration?
    public var isConfirmed = false
    public var isDryRun = false

    init(_ verb: Verb) { self.verb = verb }

    init(_ verb: Verb, _ scanned: ScannedArguments, _ environment: [String: String])
        throws(UsageError)
    {
        self.verb = verb
        let command = CommandTable.operatorCommand(verb)
        try OptionBinding.apply(
            OperatorTable.bindings(of: verb), from: scanned, environment: environment, to: &self)
        switch verb {
        case .owner, .history, .tail, .verify, .send:
            self.conversation = try Invocation.argument(
                0, in: scanned, of: command, ValueParsing.text)
        case .drain, .resume:
            self.node = try Invocation.argument(0, in: scanned, of: command, ValueParsing.text)
        case .status, .nodes, .shards, .redis, .events:
            break
        }
        if verb == .send {
            self.text = try Invocation.argument(1, in: scanned, of: command, ValueParsing.text)
            guard !self.user.isEmpty else { throw .missingArgument("--as USER", command: "send") }
        }
        if verb == .history, self.last != nil, self.after != nil {
            throw .conflict("history: give either --last or --after, not both")
        }
    }
}

/// The options of the subcommands for operators: shared ones and specific ones.
enum OperatorTable {
    typealias Binding = OptionBinding<OperatorOptions>

    static func bindings(of verb: OperatorOptions.Verb) -> [Binding] {
        switch verb {
        case .status: [self.watch] + self.common
        case .redis: [self.watch] + self.common + self.redisSource
        case .nodes: self.rows + [self.watch] + self.common + self.redisSource
        case .shards: [self.node] + self.rows + [self.watch] + self.common + self.redisSource
        case .owner: [self.tenant, self.watch] + self.common + self.redisSource
        case .verify: [self.tenant] + self.common
        case .history: [self.tenant, self.last, self.after] + self.rows + self.common
        case .tail: [self.tenant, self.after] + self.common
        case .send: [self.user, self.tenant] + self.confirmation + self.common
        case .events: [self.lastEvents, self.follow] + self.common
        case .drain: [self.rate, self.deadline] + self.confirmation + self.common
        case .resume: self.confirmation + self.common
        }
    }

    private static let common: [Binding] = [
        Binding(
            .client(
                "output", .choice(OperatorOptions.Output.allCases.map(\.rawValue)),
                "table|json|csv", default: "table", in: "Output",
                "a table, a JSON document, or CSV"),
            sets: \.output, ValueParsing.choice(OperatorOptions.Output.self)),
        Binding(
            .client(
                "admin", .text, "URL", default: "http://127.0.0.1:8090", in: "Connection",
                "the admin listener of any node", variable: "CONFAB_ADMIN_URL"),
            sets: \.url, AdminURL.parse),
        Binding(
            .client(
                "admin-token-file", .file, "FILE", in: "Connection",
                "file with the bearer token, if required",
                variable: "CONFAB_ADMIN_TOKEN_FILE"),
            sets: \.tokenFile, ValueParsing.optionalText),
    ]

    private static let redisSource: [Binding] = [
        Binding(
            .client(
                "via", .text, "URL", in: "Without a node",
                "read from this Redis (a URL as for --store)",
                variable: "CONFAB_VIA_URL"),
            sets: \.via, { (text: String) throws(ValueProblem) in try RedisStoreURL.parse(text) }),
        Binding(
            .client(
                "cluster-name", .text, "NAME", default: "confab", in: "Without a node",
                "with --via: the cluster's name",
                variable: "CONFAB_CLUSTER_NAME"),
            sets: \.clusterName, ClusterName.parse),
        Binding(
            .client(
                "redis-ca-file", .file, "FILE", in: "Without a node",
                "with --via: CA certificates (PEM)",
                variable: "CONFAB_REDIS_CA_FILE"),
            sets: \.redisCAFile, ValueParsing.optionalText),
    ]

    private static let rows: [Binding] = [
        Binding(
            .client(
                "sort", .text, "COLUMN", in: "Output",
                "sort by this column; -COLUMN: descending"),
            sets: \.sort, ValueParsing.optionalText),
        Binding(
            .client("limit", .number, "N", in: "Output", "maximum number of rows"),
            sets: \.limit, ValueParsing.optionalInteger(in: 1...1_000_000)),
    ]

    private static let watch = Binding(
        .client(
            "watch", .optionalNumber, "[SECONDS]", in: "Output",
            "repeat every 2 or SECONDS seconds, until Ctrl-C"),
        sets: \.watch
    ) { text throws(ValueProblem) in
        text.isEmpty
            ? .seconds(2)
            : try ValueParsing.seconds(in: .milliseconds(100) ... .seconds(86_400))(text)
    }

    private static let confirmation: [Binding] = [
        Binding(
            .client(
                "dry-run", .flag, "", in: "Confirmation",
                "only report what would be done"),
            changes: \.isDryRun,
            { (isDryRun: inout Bool, _: String) throws(ValueProblem) in isDryRun = true }),
        Binding(
            .client(
                "yes", .flag, "", in: "Confirmation",
                "do not ask for confirmation"),
            changes: \.isConfirmed,
            { (isSure: inout Bool, _: String) throws(ValueProblem) in isSure = true }),
    ]

    private static let tenant = Binding(
        .client(
            "tenant", .text, "TENANT", default: "default", in: "Selection",
            "the conversation's tenant"),
        sets: \.tenant, ValueParsing.name("._-", upTo: 64))
    private static let node = Binding(
        .client("node", .text, "NODE", in: "Selection", "only shards of this node"), sets: \.node,
        ValueParsing.optionalText)
    private static let last = Binding(
        .client("last", .number, "N", default: "20", in: "Selection", "number of newest messages"),
        sets: \.last, ValueParsing.optionalInteger(in: 1...1000))
    private static let lastEvents = Binding(
        .client("last", .number, "N", default: "20", in: "Selection", "number of newest events"),
        sets: \.last, ValueParsing.optionalInteger(in: 1...1000))
    private static let follow = Binding(
        .client("follow", .flag, "", in: "Selection", "continue with new events, until Ctrl-C"),
        changes: \.follows,
        { (follows: inout Bool, _: String) throws(ValueProblem) in follows = true })
    private static let after = Binding(
        .client("after", .number, "M", in: "Selection", "messages after this number"),
        sets: \.after, ValueParsing.optionalInteger(in: 0...Int(Int32.max)))
    private static let user = Binding(
        .client(
            "as", .text, "USER", in: "Selection",
            "the sender's id (required); joins if not a member"),
        sets: \.user, ValueParsing.person)
    private static let rate = Binding(
        .client(
            "rate", .number, "N", in: "Selection",
            "clients to close per second, 200 or 200/s"),
        sets: \.rate
    ) { text throws(ValueProblem) in
        try ValueParsing.integer(in: 1...1_000_000)(
            text.hasSuffix("/s") ? String(text.dropLast(2)) : text)
    }
    private static let deadline = Binding(
        .client(
            "deadline", .number, "SECONDS", default: "the node's --drain-seconds", in: "Selection",
            "time limit for closing the clients"),
        sets: \.deadline, ValueParsing.optionalSeconds(in: .zero ... .seconds(86_400)))
}

/// Parses a Redis URL of any kind that `--store` accepts.
enum RedisStoreURL {
    static func parse(_ text: String) throws(ValueProblem) -> RedisURL {
        do throws(RedisURLError) {
            return try RedisURL(text)
        } catch {
            throw ValueProblem(error.reason)
        }
    }
}

/// The URL of a node's admin listener.
enum AdminURL {
    /// Checks only the form; the client parses the URL.
    static func parse(_ text: String) throws(ValueProblem) -> String {
        let isHTTP = text.lowercased().hasPrefix("http://")
        let host = isHTTP ? text.dropFirst(7).prefix { $0 != "/" } : ""
        let isPlain = text.unicodeScalars.allSatisfy { $0.value > 0x20 && $0.value < 0x7F }
        guard !host.isEmpty, !host.hasPrefix(":"), !host.contains("@"), isPlain else {
            throw ValueProblem("\(text.quoted) is not a URL such as http://127.0.0.1:8090")
        }
        return text
    }
}
