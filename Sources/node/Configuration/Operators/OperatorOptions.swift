public import JSON
public import RedisClient

/// The command line of a subcommand for operators, with checked values.
public struct OperatorOptions: Sendable, Equatable {
    public enum Output: String, Sendable, CaseIterable { case table, json, csv }

    public var verb: OperatorVerb
    /// The values of the verb's arguments and options, by their names in the API.
    public var parameters: [JSONTree.ObjectMember] = []
    /// The admin listeners of nodes; the first that answers is used.
    public var urls = ["http://127.0.0.1:8090"]
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
    /// Titles or keys of the columns to show; nil for those that fit.
    public var columns: [String]?
    /// Shows all columns, even if they do not fit.
    public var isWide = false
    public var hasHeader = true
    /// Repeats the output, with this interval.
    public var watch: Duration?
    /// Continues with new rows.
    public var follows = false
    public var isConfirmed = false
    public var isDryRun = false

    init(_ verb: OperatorVerb) { self.verb = verb }

    init(_ verb: OperatorVerb, _ scanned: ScannedArguments, _ environment: [String: String])
        throws(UsageError)
    {
        self.init(verb)
        try OptionBinding.apply(
            verb.bindings, from: scanned, environment: environment, to: &self)
        let command = verb.command
        var index = 0
        var requiredCount = verb.parameters.count { $0.isArgument && $0.isRequired }
        for parameter in verb.parameters where parameter.isArgument {
            if parameter.isRequired {
                requiredCount -= 1
            } else if scanned.arguments.count - index <= requiredCount {
                // The remaining values are those of the arguments that are required.
                continue
            }
            let value = try Invocation.argument(
                index, as: parameter.argument, in: scanned, of: command
            ) { (text: String) throws(ValueProblem) in try parameter.value(ofText: text) }
            index += 1
            self.parameters.append(.init(parameter.name, value))
        }
        for parameter in verb.parameters where parameter.isRequired {
            guard self[parameter.name] == nil else { continue }
            throw .missingArgument(
                "--\(parameter.word) \(parameter.placeholder)", command: verb.name)
        }
        // The server limits these rows itself.
        if self["last"] != nil, self["after"] != nil {
            throw .conflict("\(verb.name): give either --last or --after, not both")
        }
        if verb.name == "verify", (self["conversation"] == nil) == (self["all"] == nil) {
            throw .conflict("verify: give either CONVERSATION or --all")
        }
        if verb.name == "verify", self["all"] != nil, self.via != nil {
            throw .conflict("verify: --all needs a node; --via reads one conversation")
        }
        if verb.name == "verify", self["all"] == nil, self["repair"] ?? self["rate"] != nil {
            throw .conflict("verify: --repair and --rate need --all")
        }
        if self.columns != nil, self.isWide {
            throw .conflict("\(verb.name): give either --columns or --wide, not both")
        }
    }

    /// The value of a parameter; nil if it was not given.
    public subscript(name: String) -> JSONTree? {
        self.parameters.first { $0.name == name }?.value
    }

    /// The value of a required text; of an optional one that was not given, its default or "".
    public func text(_ name: String) -> String {
        let parameter = self.verb.parameter(named: name)
        return self[name]?.stringValue ?? parameter?.defaultValue?.stringValue ?? ""
    }
}

/// The options that verbs share.
extension OperatorOptions {
    typealias Binding = OptionBinding<OperatorOptions>

    static let outputBinding = Binding(
        .client(
            "output", .choice(Output.allCases.map(\.rawValue)), "table|json|csv",
            default: "table", in: "Output", "a table, a JSON document, or CSV"),
        sets: \.output, ValueParsing.choice(Output.self))

    static let adminBindings: [Binding] = [
        Binding(
            .client(
                "admin", .list, "URL[,URL...]", default: "http://127.0.0.1:8090", in: "Connection",
                "admin listeners of nodes; the first that answers is used",
                variable: "CONFAB_ADMIN_URL"),
            lists: \.urls, ValueParsing.list(AdminURL.parse)),
        Binding(
            .client(
                "admin-token-file", .file, "FILE", in: "Connection",
                "file with the bearer token (default: a local node's)",
                variable: "CONFAB_ADMIN_TOKEN_FILE"),
            sets: \.tokenFile, ValueParsing.optionalText),
    ]

    static let redisBindings: [Binding] = [
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

    static let tableBindings: [Binding] = [
        Binding(
            .client(
                "sort", .text, "COLUMN", in: "Output",
                "sort by this column; -COLUMN: descending"),
            sets: \.sort, ValueParsing.optionalText),
        Binding(
            .client("limit", .number, "N", in: "Output", "maximum number of rows"),
            sets: \.limit, ValueParsing.optionalInteger(in: 1...1_000_000)),
        Binding(
            .client(
                "columns", .text, "A,B", in: "Output", "only these columns of a table or CSV"),
            sets: \.columns,
            ValueParsing.optional(ValueParsing.list(ValueParsing.text))),
        Self.wideBinding,
        Binding(
            .client("no-header", .flag, "", in: "Output", "no line of titles, no totals"),
            changes: \.hasHeader, Self.setting(false)),
    ]

    /// Also for a record with tables below it.
    static let wideBinding = Binding(
        .client("wide", .flag, "", in: "Output", "all columns, even if they do not fit"),
        changes: \.isWide, Self.setting(true))

    static let watchBinding = Binding(
        .client(
            "watch", .optionalNumber, "[SECONDS]", in: "Output",
            "repeat every 2 or SECONDS seconds, until Ctrl-C"),
        sets: \.watch
    ) { text throws(ValueProblem) in
        text.isEmpty
            ? .seconds(2)
            : try ValueParsing.seconds(in: .milliseconds(100) ... .seconds(86_400))(text)
    }

    static let followBinding = Binding(
        .client("follow", .flag, "", in: "Selection", "continue with new rows, until Ctrl-C"),
        changes: \.follows, Self.setting(true))

    static let confirmationBindings: [Binding] = [
        Binding(
            .client(
                "dry-run", .flag, "", in: "Confirmation",
                "only report what would be done"),
            changes: \.isDryRun, Self.setting(true)),
        Binding(
            .client(
                "yes", .flag, "", in: "Confirmation",
                "do not ask for confirmation; required without a terminal"),
            changes: \.isConfirmed, Self.setting(true)),
    ]

    static let overwriteBinding = Binding(
        .client("yes", .flag, "", in: "Confirmation", "replace the file if it exists"),
        changes: \.isConfirmed, Self.setting(true))

    private static func setting(
        _ value: Bool
    ) -> @Sendable (inout Bool, String) throws(ValueProblem) -> Void {
        { (target: inout Bool, _: String) throws(ValueProblem) in target = value }
    }
}

/// Parses a Redis URL of any kind that `--store` accepts.
public enum RedisStoreURL {
    /// The error contains no password.
    public static func parse(_ text: String) throws(ValueProblem) -> RedisURL {
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
