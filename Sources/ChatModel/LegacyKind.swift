public import Bytes

/// The number that earlier versions store and send in place of a conversation's origin, join policy
/// and listing.
///
/// This table does not grow. Conversations in Redis and packets between nodes carry the number
/// beside the other properties, so that nodes of both versions work together. In SQLite, the number
/// is part of the checksums of existing rows.
public enum LegacyKind: UInt8, Sendable, CaseIterable {
    case conversations = 0, pets, chats, rooms, agents, inbox

    /// The properties that earlier versions derive from the number.
    public var template: ConversationTemplate {
        switch self {
        case .conversations: ConversationTemplate(origin: "conversations")
        case .pets: ConversationTemplate(origin: "pets")
        case .chats: ConversationTemplate(origin: "chats", joinPolicy: .open)
        case .rooms: ConversationTemplate(origin: "rooms", joinPolicy: .open, isListed: true)
        case .agents: ConversationTemplate(origin: "agents")
        case .inbox: .inbox
        }
    }

    /// The number for earlier versions. They treat a conversation of an origin that they do not
    /// know like one of Conversations: the catalog does not list it, and the stored join policy
    /// applies.
    public init(of origin: ByteString) {
        self = Self.allCases.first { $0.template.origin == origin } ?? .conversations
    }

    /// Nil unless the number alone determines both properties.
    public init?(origin: ByteString, isListed: Bool) {
        self.init(of: origin)
        guard self.template.origin == origin, self.template.isListed == isListed else { return nil }
    }
}
