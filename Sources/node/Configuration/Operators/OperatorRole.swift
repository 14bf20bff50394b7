/// The role of a token of the admin listener. Each role includes those before it.
///
/// A dashboard needs no messages. Reading their content, or with which users a user talks, is a
/// role of its own, and its use is recorded.
public enum OperatorRole: String, Sendable, CaseIterable, Comparable {
    /// Only `/metrics`.
    case metrics
    /// Everything that shows no content of messages.
    case view
    /// Content, too: messages, the paths of messages, one user, archives for support.
    case read
    /// Changes, too.
    case operate

    public static func < (one: Self, other: Self) -> Bool { one.rank < other.rank }

    /// This role and those that it includes, the lowest first.
    public var included: [Self] { Self.allCases.filter { $0 <= self } }

    private var rank: Int {
        switch self {
        case .metrics: 0
        case .view: 1
        case .read: 2
        case .operate: 3
        }
    }
}
