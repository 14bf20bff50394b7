public import Bytes
public import ChatModel

extension ConversationTemplate {
    /// A conversation that no catalog lists.
    public static func unlisted(_ origin: ByteString) -> ConversationTemplate {
        ConversationTemplate(origin: origin, joinPolicy: .open)
    }

    public static let unlisted = ConversationTemplate.unlisted("conversations")
    public static let listed = ConversationTemplate(
        origin: "rooms", joinPolicy: .open, isListed: true)
}
