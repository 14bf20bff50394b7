/// The access of conversations that REST and Chats create, unless the request says it.
public enum DefaultAccess: String, Sendable, CaseIterable {
    /// Every user of the tenant who has the link may join.
    case open
    /// Only members, and bearers of tokens that list the conversation, may enter.
    case closed
}
