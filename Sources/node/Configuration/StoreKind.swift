/// A kind of message store: how `--store` names it, and what the options, the node and its
/// operators need to know about it.
///
/// The program has a list of kinds. Code that depends on the store reads a property of its kind
/// and compares no names, so that a further kind changes no other module.
public struct StoreKind: Sendable, Equatable {
    /// Reads the part of a URL before the first colon, in lower case, and the part after it.
    /// Returns nil if the URL is of another kind. An error must not contain a password.
    public typealias Parser =
        @Sendable (StoreKind, _ scheme: String, _ rest: String) throws(ValueProblem) ->
        StoreLocation?

    /// The name in metrics, logs and the admin API.
    public let name: String
    /// The name in sentences: "nodes on Redis".
    public let title: String
    /// The forms of its URLs, with placeholders in capital letters: `sqlite:PATH`.
    public let forms: [String]
    /// Where a message is stored when its send is acknowledged: "synced to local disk".
    public let durability: String
    /// Whether messages are still there after a restart of the node.
    public let survivesRestart: Bool
    /// Whether several nodes use one store as a cluster.
    public let isShared: Bool
    /// Whether a conversation may retain all its messages (`--history 0`).
    public let hasUnlimitedHistory: Bool
    /// How long owners retain acknowledged writes, which the store may lose.
    public let retention: Duration
    let parse: Parser

    public init(
        _ name: String, title: String, forms: [String], durability: String,
        survivesRestart: Bool = true, isShared: Bool = false, hasUnlimitedHistory: Bool = false,
        retention: Duration = .zero, parse: @escaping Parser
    ) {
        self.name = name
        self.title = title
        self.forms = forms
        self.durability = durability
        self.survivesRestart = survivesRestart
        self.isShared = isShared
        self.hasUnlimitedHistory = hasUnlimitedHistory
        self.retention = retention
        self.parse = parse
    }

    public static func == (left: StoreKind, right: StoreKind) -> Bool { left.name == right.name }

    /// The beginnings of its URLs, for completion.
    var prefixes: [String] { self.forms.map { String($0.prefix { !$0.isUppercase }) } }

    /// The form for the help. A kind with several forms shows the beginning of the first one, which
    /// does not claim to be complete.
    var helpForm: String {
        (self.forms.count == 1 ? self.forms : self.prefixes).first ?? self.name
    }
}
