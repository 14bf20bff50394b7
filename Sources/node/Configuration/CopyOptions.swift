public import RedisClient

/// The options of `confab copy`.
public struct CopyOptions: Sendable, Equatable {
    /// The path of the SQLite database.
    public let source: String
    public let target: RedisURL
    public let clusterName: String
    /// A PEM file with certificate authorities for `rediss://`; nil for those of the system.
    public let redisCAFile: String?
    /// How many messages of each conversation are copied, at least 1.
    public let history: Int
    /// Checks and counts, and writes nothing.
    public let isDryRun: Bool

    init(_ scanned: ScannedArguments, _ stores: StoreChoices) throws(UsageError) {
        var draft = CopyTable.CopyDraft(stores: stores)
        try OptionBinding.apply(CopyTable.bindings, from: scanned, to: &draft)
        guard let source = draft.source else {
            throw .missingArgument("--from sqlite:PATH", command: "copy")
        }
        guard let target = draft.target else {
            throw .missingArgument("--to redis://HOST:PORT", command: "copy")
        }
        self.source = source
        self.target = target
        self.clusterName = draft.clusterName
        self.redisCAFile = draft.redisCAFile
        self.history = draft.history
        self.isDryRun = draft.isDryRun
    }
}

/// The options of `confab copy`, which mean the same as those of `confab serve`.
enum CopyTable {
    /// `CopyOptions` during parsing: the stores may be missing.
    struct CopyDraft: Sendable {
        let stores: StoreChoices
        var source: String?
        var target: RedisURL?
        var clusterName = "confab"
        var redisCAFile: String?
        var history = 10_000
        var isDryRun = false
    }

    static let bindings: [OptionBinding<CopyDraft>] = [
        OptionBinding(
            .client("from", .text, "URL", in: "Stores", "the source, sqlite:PATH (required)"),
            changes: \.self, Self.readSource),
        OptionBinding(
            .client(
                "to", .text, "URL", in: "Stores",
                "the target, as --store of the cluster's nodes (required)"),
            changes: \.self, Self.readTarget),
        OptionBinding(
            .client(
                "cluster-name", .text, "NAME", default: "confab", in: "Stores",
                "--cluster-name of the nodes"),
            sets: \.clusterName, ClusterName.parse),
        OptionBinding(
            .client(
                "redis-ca-file", .file, "FILE", in: "Stores",
                "CA certificates (PEM) for rediss://"),
            sets: \.redisCAFile, ValueParsing.optionalText),
        OptionBinding(
            .client(
                "history", .number, "N", default: "10000", in: "Copy",
                "newest messages to copy per conversation"),
            sets: \.history, ValueParsing.integer(in: 1...1_000_000_000)),
        OptionBinding(
            .client("dry-run", .flag, "", in: "Copy", "check and count; write nothing"),
            changes: \.isDryRun,
            { (isDryRun: inout Bool, _: String) throws(ValueProblem) in isDryRun = true }),
    ]

    @Sendable
    private static func readSource(_ draft: inout CopyDraft, _ text: String) throws(ValueProblem) {
        let location = try draft.stores.parse(text)
        guard location.kind.name == "sqlite" else {
            throw ValueProblem("only a SQLite database can be copied: sqlite:PATH")
        }
        draft.source = location.address
    }

    @Sendable
    private static func readTarget(_ draft: inout CopyDraft, _ text: String) throws(ValueProblem) {
        guard try draft.stores.parse(text).kind.name == "redis" else {
            throw ValueProblem("the target must be Redis: redis://HOST:PORT")
        }
        draft.target = try RedisStoreURL.parse(text)
    }
}
