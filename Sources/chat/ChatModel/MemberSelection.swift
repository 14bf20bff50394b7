/// The members that the details of a conversation contain: a conversation may have very many, and
/// its owner's loop delivers nothing while it lists them.
public enum MemberSelection: Sendable, Hashable {
    /// The members as lists show them, in the order in which they joined. If there are more than
    /// the limit, those who are present come first.
    ///
    /// In an open conversation these have an absent guest only if no other guest of its id is
    /// present or has joined later: clients know participants by their ids, and one that keeps no
    /// token is another guest with each visit. A closed conversation shows everybody who may enter.
    case shown(limit: Int)
    /// As `shown`, with the members whose read cursors are the highest.
    case shownWithReaders(limit: Int)
    /// All members after this user, up to the limit, in the order of their ids.
    case page(after: UserID?, limit: Int)

    /// The most members that an answer shows. A list of a hundred conversations stays readable.
    public static let limit = 1000
    public static let shown = Self.shown(limit: Self.limit)
    /// For a request that only asks whether the user may read the conversation.
    public static let none = Self.shown(limit: 0)
}
