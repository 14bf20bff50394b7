/// A protocol that `confab chat` speaks.
public enum ChatDialect: String, Sendable, CaseIterable {
    case conversations, pets, chats, rooms, agents

    /// The name in messages to the user.
    var name: String {
        switch self {
        case .conversations: "Conversations"
        case .pets: "Pets"
        case .chats: "Chats"
        case .rooms: "Rooms"
        case .agents: "Agents"
        }
    }
}
