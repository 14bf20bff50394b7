/// The counts of a copy: written, or to be written.
public struct CopySummary: Sendable, Equatable {
    public var conversations = 0
    /// The conversations that an earlier, incomplete copy has written.
    public var earlierConversations = 0
    public var members = 0
    public var messages = 0
    public var bans = 0
    /// The numbers of users (protocol Chats).
    public var userNumbers = 0
    /// Whether the source has events for webhooks or dead letters, which are not copied.
    public var leavesEvents = false
    /// The conversations of the source.
    public var total = 0

    /// Creates the summary of a copy that has not begun.
    public init() {}
}
