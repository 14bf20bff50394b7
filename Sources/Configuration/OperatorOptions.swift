public import RedisClient

/// What `confab nodes` and its like ask a node, and how they show the answer.
public struct OperatorOptions: Sendable, Equatable {
    public enum Verb: String, Sendable, CaseIterable {
        case status, nodes, shards, owner, history, tail, send, verify, redis, events, drain, resume
    }

    public enum Output: String, Sendable, CaseIterable { case table, json, csv }

    public var verb = Verb.status
    /// Of any node's admin listener: http, and a host.
    public var url = "http://127.0.0.1:8090"
    public var tokenFile: String?
    /// Where nobody is asked, and what stands there is read.
    public var via: RedisURL?
    public var clusterName = "confab"
    public var redisCAFile: String?
    public var output = Output.table
    /// A column's name, as it stands above it or as a key of the JSON document; with a minus before it the highest come first.
    public var sort: String?
    public var limit: Int?
    /// Again and again, with this pause.
    public var watch: Duration?
    public var tenant = "default"
    public var node: String?
    public var conversation = ""
    public var text = ""
    public var user = ""
    public var last: Int?
    public var after: Int?
    /// Goes on with what comes.
    public var follows = false
    /// Closes a second, and how long they may take; the node's own settings where neither is said.
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
            throw .conflict("history: --last and --after are two places to begin at; give one")
        }
    }
}

/// The options of the verbs for operators: those that all have, and each one's own.
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
                "for people, one JSON document, or comma-separated values"),
            sets: \.output, ValueParsing.choice(OperatorOptions.Output.self)),
        Binding(
            .client(
                "admin", .text, "URL", default: "http://127.0.0.1:8090", in: "Whom to ask",
                "any node's admin listener; it asks the others", variable: "CONFAB_ADMIN_URL"),
            sets: \.url, AdminURL.parse),
        Binding(
            .client(
                "admin-token-file", .file, "FILE", in: "Whom to ask",
                "a file with the admin API's bearer token, where it needs one",
                variable: "CONFAB_ADMIN_TOKEN_FILE"),
            sets: \.tokenFile, ValueParsing.optionalText),
    ]

    private static let redisSource: [Binding] = [
        Binding(
            .client(
                "via", .text, "URL", in: "Where no node answers",
                "read it straight from Redis, at a URL as --store of confab serve takes it",
                variable: "CONFAB_VIA_URL"),
            sets: \.via, { (text: String) throws(ValueProblem) in try RedisStoreURL.parse(text) }),
        Binding(
            .client(
                "cluster-name", .text, "NAME", default: "confab", in: "Where no node answers",
                "with --via: the cluster's",
                variable: "CONFAB_CLUSTER_NAME"),
            sets: \.clusterName, ClusterName.parse),
        Binding(
            .client(
                "redis-ca-file", .file, "FILE", in: "Where no node answers",
                "with --via: certificate authorities (PEM) to believe for rediss://; without it the system's",
                variable: "CONFAB_REDIS_CA_FILE"),
            sets: \.redisCAFile, ValueParsing.optionalText),
    ]

    private static let rows: [Binding] = [
        Binding(
            .client(
                "sort", .text, "COLUMN", in: "Output",
                "the column to sort by; -COLUMN puts the highest first"),
            sets: \.sort, ValueParsing.optionalText),
        Binding(
            .client("limit", .number, "N", in: "Output", "so many rows at most"),
            sets: \.limit, ValueParsing.optionalInteger(in: 1...1_000_000)),
    ]

    private static let watch = Binding(
        .client(
            "watch", .optionalNumber, "[SECONDS]", in: "Output",
            "again every 2 seconds, or as many, until Ctrl-C"),
        sets: \.watch
    ) { text throws(ValueProblem) in
        text.isEmpty
            ? .seconds(2)
            : try ValueParsing.seconds(in: .milliseconds(100) ... .seconds(86_400))(text)
    }

    private static let confirmation: [Binding] = [
        Binding(
            .client(
                "dry-run", .flag, "", in: "Before it happens",
                "say what would be done, and do nothing"),
            changes: \.isDryRun,
            { (isDryRun: inout Bool, _: String) throws(ValueProblem) in isDryRun = true }),
        Binding(
            .client(
                "yes", .flag, "", in: "Before it happens",
                "do not ask, as a terminal is asked otherwise"),
            changes: \.isConfirmed,
            { (isSure: inout Bool, _: String) throws(ValueProblem) in isSure = true }),
    ]

    private static let tenant = Binding(
        .client(
            "tenant", .text, "TENANT", default: "default", in: "What", "whose conversation it is"),
        sets: \.tenant, ValueParsing.name("._-", upTo: 64))
    private static let node = Binding(
        .client("node", .text, "NODE", in: "What", "only this node's"), sets: \.node,
        ValueParsing.optionalText)
    private static let last = Binding(
        .client("last", .number, "N", default: "20", in: "What", "so many of the newest messages"),
        sets: \.last, ValueParsing.optionalInteger(in: 1...1000))
    private static let lastEvents = Binding(
        .client("last", .number, "N", default: "20", in: "What", "so many of the newest"),
        sets: \.last, ValueParsing.optionalInteger(in: 1...1000))
    private static let follow = Binding(
        .client("follow", .flag, "", in: "What", "go on with what happens, until Ctrl-C"),
        changes: \.follows,
        { (follows: inout Bool, _: String) throws(ValueProblem) in follows = true })
    private static let after = Binding(
        .client("after", .number, "M", in: "What", "what was said after this message"),
        sets: \.after, ValueParsing.optionalInteger(in: 0...Int(Int32.max)))
    private static let user = Binding(
        .client(
            "as", .text, "USER", in: "What",
            "the id of who says it; required. Becomes a member if it is none"),
        sets: \.user, ValueParsing.person)
    private static let rate = Binding(
        .client(
            "rate", .number, "N", in: "What",
            "clients to close in a second, 200 or 200/s; --deadline ends sooner"),
        sets: \.rate
    ) { text throws(ValueProblem) in
        try ValueParsing.integer(in: 1...1_000_000)(
            text.hasSuffix("/s") ? String(text.dropLast(2)) : text)
    }
    private static let deadline = Binding(
        .client(
            "deadline", .number, "SECONDS", default: "the node's --drain-seconds", in: "What",
            "how long closing the clients may take"),
        sets: \.deadline, ValueParsing.optionalSeconds(in: .zero ... .seconds(86_400)))
}

/// A URL of Redis, of any kind that `--store` takes.
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
    /// Says only whether it can be one; who connects reads it in full.
    static func parse(_ text: String) throws(ValueProblem) -> String {
        let isHTTP = text.lowercased().hasPrefix("http://")
        let host = isHTTP ? text.dropFirst(7).prefix { $0 != "/" } : ""
        let isPlain = text.unicodeScalars.allSatisfy { $0.value > 0x20 && $0.value < 0x7F }
        guard !host.isEmpty, !host.hasPrefix(":"), !host.contains("@"), isPlain else {
            throw ValueProblem("\(text.quoted) is no URL such as http://127.0.0.1:8090")
        }
        return text
    }
}
