public import Bytes

/// The stored properties that a dialect gives to the conversations that it creates.
///
/// The layers below the dialects store them and compare them, and never ask which dialect it was.
public struct ConversationTemplate: Sendable, Equatable {
    /// See `ConversationRecord.origin`.
    public let origin: ByteString
    public let joinPolicy: ConversationRecord.JoinPolicy
    /// See `ConversationRecord.isListed`.
    public let isListed: Bool

    public init(
        origin: ByteString, joinPolicy: ConversationRecord.JoinPolicy = .closed,
        isListed: Bool = false
    ) {
        self.origin = origin
        self.joinPolicy = joinPolicy
        self.isListed = isListed
    }

    /// The template of a conversation that comes into being because a token lists it. Whichever
    /// dialect is first, only members and bearers of such tokens may enter.
    public var closed: Self { Self(origin: self.origin) }

    /// Inboxes, which the core itself creates with the first message.
    public static let inbox = ConversationTemplate(origin: "inbox")
    /// A conversation whose creation is lost.
    public static let unknown = ConversationTemplate(origin: "unknown")
}
