/// A subcommand for operators, as one row of a table. The parser, the help, the completion, the
/// reference, the display, the admin API's paths and the needed roles come from this row.
public struct OperatorVerb: Sendable, Equatable {
    /// How the command shows the document of the API.
    public enum Display: Sendable, Equatable {
        /// A table of the rows under `key`. If the server sorts and limits them, because there can
        /// be many, `isLarge` is true.
        case table(key: String, [OperatorColumn], hasTotals: Bool = false, isLarge: Bool = false)
        /// One row, as lines of title and value; below them the sentences of a list, and tables.
        case record([OperatorColumn], sentences: Sentences? = nil, sections: [Section] = [])
        /// The sentence under `summary`: what a change has done or, with `--dry-run`, would do.
        case summary
        /// The verb has code of its own.
        case custom
    }

    /// A list of sentences in a document.
    public struct Sentences: Sendable, Equatable {
        public let key: String
        /// The text that the command prints if there are none.
        public let whenEmpty: String

        init(_ key: String, whenEmpty: String) {
            self.key = key
            self.whenEmpty = whenEmpty
        }
    }

    /// A table below a record: rows under a key of the document.
    public struct Section: Sendable, Equatable {
        public let title: String
        public let key: String
        public let columns: [OperatorColumn]

        init(_ title: String, _ key: String, _ columns: [OperatorColumn]) {
            self.title = title
            self.key = key
            self.columns = columns
        }
    }

    public let name: String
    /// One line.
    let summary: String
    public let parameters: [OperatorParameter]
    /// The least role that a token of the admin API needs. A verb that needs `read` shows content
    /// of messages, and each use is recorded; one that needs `operate` changes something.
    public let role: OperatorRole
    public let display: Display
    /// Whether it is a subcommand. Otherwise only the API has it.
    let isCommand: Bool
    /// Whether it may change something although its path only reads.
    let mayChange: Bool
    /// Whether it writes a file, which `--yes` allows to replace.
    let writesFile: Bool
    /// Whether it uses admin listeners. Otherwise it has no options for them.
    let usesAdminAPI: Bool
    /// The path below `/api/cluster/`; nil for a verb without a request of its own. A verb that
    /// changes something is a POST request, every other verb a GET request.
    public let path: String?
    /// Whether Redis has the data, so that `--via` can read it.
    public let readsRedis: Bool
    /// Whether `--follow` continues with new rows.
    let follows: Bool
    /// Whether `--watch` makes sense.
    let isRepeatable: Bool
    /// The boolean member of the document that is false if the command failed.
    public let successKey: String?
    let examples: [CommandSpec.Example]
    let notes: [String]

    init(
        _ name: String, _ summary: String, _ parameters: [OperatorParameter] = [],
        role: OperatorRole = .view, path: String? = "", display: Display,
        readsRedis: Bool = false, follows: Bool = false, isRepeatable: Bool = true,
        successKey: String? = nil, usesAdminAPI: Bool = true, writesFile: Bool = false,
        mayChange: Bool = false,
        isCommand: Bool = true, examples: [CommandSpec.Example], notes: [String] = []
    ) {
        self.name = name
        self.summary = summary
        self.parameters = parameters
        self.role = role
        self.path = path?.isEmpty == true ? name : path
        self.display = display
        self.readsRedis = readsRedis
        self.follows = follows
        self.isRepeatable = isRepeatable && role != .operate
        self.successKey = successKey
        self.usesAdminAPI = usesAdminAPI
        self.writesFile = writesFile
        self.mayChange = mayChange
        self.isCommand = isCommand
        self.examples = examples
        self.notes = notes
    }

    public static func == (one: Self, other: Self) -> Bool { one.name == other.name }

    /// All verbs, in the groups of the help.
    static let groups: [(title: String, verbs: [OperatorVerb])] = [
        ("The cluster and its nodes", clusterVerbs + [nodeVerb, topVerb] + serviceVerbs),
        ("Conversations, connections and users", lookupVerbs + conversationVerbs + [traceVerb]),
        ("Moderation", moderationVerbs),
        ("Webhooks", webhookVerbs),
        ("Checks, scripts and support", checkVerbs),
    ]

    /// All verbs.
    public static let all = groups.flatMap(\.verbs)

    public static func named(_ name: String) -> OperatorVerb? {
        self.all.first { $0.isCommand && $0.name == name }
    }

    public func parameter(named name: String) -> OperatorParameter? {
        self.parameters.first { $0.name == name }
    }

    /// Whether it changes something.
    public var isChange: Bool { self.role == .operate }

    /// The columns of its table or record.
    public var columns: [OperatorColumn] {
        switch self.display {
        case .table(_, let columns, _, _), .record(let columns, _, _): columns
        case .summary, .custom: []
        }
    }

    // MARK: The command line

    var bindings: [OptionBinding<OperatorOptions>] {
        var list = self.parameters.filter(\.isOption).map(\.binding)
        if self.follows { list.append(OperatorOptions.followBinding) }
        switch self.display {
        case .table: list += OperatorOptions.tableBindings
        case .record(_, _, let sections) where !sections.isEmpty:
            list.append(OperatorOptions.wideBinding)
        case .record, .summary, .custom: break
        }
        if self.isRepeatable { list.append(OperatorOptions.watchBinding) }
        if self.isChange || self.mayChange {
            list += OperatorOptions.confirmationBindings
        }
        if self.writesFile { list.append(OperatorOptions.overwriteBinding) }
        list.append(OperatorOptions.outputBinding)
        if self.usesAdminAPI { list += OperatorOptions.adminBindings }
        if self.readsRedis { list += OperatorOptions.redisBindings }
        return list
    }

    var command: CommandSpec {
        CommandSpec(
            self.name, self.summary,
            arguments: self.parameters.filter(\.isArgument).map(\.argument),
            options: self.bindings.map(\.spec) + [CommandTable.helpOption],
            examples: self.examples, notes: self.notes)
    }
}
