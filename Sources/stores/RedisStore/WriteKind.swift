/// The kinds of writes of the write script. A write's first argument is the letter of its kind. The
/// names of the others are constants of the script, which begin with that of the case:
/// `MEMBER_ROLE`.
enum WriteKind: String, CaseIterable {
    /// A message without annotations.
    case message
    /// The same, and the stream is trimmed.
    case trimming
    case annotated
    /// The changed cursors of several users, which follow (`WriteKind.cursor`).
    case cursors
    /// The fields of the record follow (`HashFieldWriter`).
    case create
    case amend
    case member
    case update
    case remove
    case skip
    case end

    var letter: StaticString {
        switch self {
        case .message: "m"
        case .trimming: "t"
        case .annotated: "n"
        case .cursors: "r"
        case .create: "c"
        case .amend: "a"
        case .member: "j"
        case .update: "u"
        case .remove: "d"
        case .skip: "s"
        case .end: "e"
        }
    }

    /// The names of all arguments. Those of an index entry are empty if there is none.
    var fields: String {
        switch self {
        case .message, .trimming: "kind before after id entry"
        case .annotated: "kind before after id entry references thread trims amendment pin"
        case .cursors: "kind count"
        case .create, .update: "kind revision updated index score id count"
        case .amend: "kind revision sequence time state pin"
        case .member: "kind revision user role joined read delivered name index score id"
        case .remove: "kind revision user"
        case .skip: "kind revision"
        case .end: "kind revision time"
        }
    }

    /// A user's cursors.
    static let cursor = ArgumentLayout("cursor", "user read delivered")

    static let layouts =
        Self.allCases.map { ArgumentLayout($0.rawValue, $0.fields) } + [
            cursor,
            ArgumentLayout("field", "name value"),
            ArgumentLayout("run", "epoch count"),
            ArgumentLayout("notice", "channel payload"),
            ArgumentLayout("event", "place stream conversation id type queued body"),
        ]

    /// For Lua: the number of arguments of each kind that the script does not treat specially.
    static let sizes =
        "{"
        + Self.allCases.filter { ![.message, .trimming, .cursors].contains($0) }
        .map { "\($0.letter)=\($0.fields.split(separator: " ").count)" }.joined(separator: ",")
        + "}"
}
