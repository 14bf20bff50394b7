import Bytes
public import ChatModel

extension ConversationTemplate {
    /// Only users that a token or a member admits may join.
    public static let closed = ConversationTemplate(origin: "conversations")
    /// Any user may join, and the tenant's catalog lists the conversation.
    public static let listed = ConversationTemplate(
        origin: "rooms", joinPolicy: .open, isListed: true)
}
