internal import Bytes

/// Which protocol is spoken, in which conversation, by whom: all that a dialect is made of.
struct ChatTarget {
    let location: ChatURL
    let dialect: ChatDialect
    /// Nil where the protocol can do without.
    let conversation: String?

    /// - Throws: what is missing, or said twice and differently.
    init(_ place: ChatURL, dialect: ChatDialect?, conversation: String?) throws(ChatTerminalError) {
        if let conversation, let named = place.conversation, conversation != named {
            throw .twoConversations(conversation, named)
        }
        self.location = place
        self.dialect = dialect ?? place.dialect ?? .conversations
        self.conversation = conversation ?? place.conversation
        switch self.dialect {
        case .conversations, .pets, .rooms:
            if self.conversation == nil { throw .noConversation(self.dialect) }
        // One is made, and agents have an inbox.
        case .chats, .agents: break
        }
    }

    /// Whether nobody comes in without a token.
    var needsToken: Bool { self.dialect == .conversations || self.dialect == .agents }

    /// Whether somebody without a token says how to be called.
    var acceptsNames: Bool { self.dialect == .chats || self.dialect == .rooms }

    /// The id by which one's own messages are known; nil where only the server knows it.
    func ownUser(_ owner: UnverifiedTokenClaims?, guest: String) -> String? {
        switch self.dialect {
        case .conversations: owner?.displayedUser
        case .agents: owner?.agent
        case .rooms: owner?.displayedUser ?? "guest:\(guest)"
        case .pets, .chats: nil
        }
    }

    /// - Parameters:
    ///   - owner: whom the token names, where it can be read.
    ///   - name: of somebody without a token.
    ///   - guest: an id for somebody without a token, unlike any other's.
    func client(token: String?, claims owner: UnverifiedTokenClaims?, name: String?, guest: String)
        -> any ClientDialect
    {
        let conversation = self.conversation ?? ""
        switch self.dialect {
        case .conversations:
            let isItsOwn =
                self.location.dialect == .conversations && self.location.conversation != nil
            let path = "/conversations/\(PercentEncoding.encode(conversation))/"
            return ConversationsClient(isItsOwn ? self.location.url : self.location.url(path))
        case .pets:
            return PetsClient(self.location.url("/ws/"), in: conversation)
        case .chats:
            let url = self.location.url("/ws/chats/")
            return ChatsClient(
                name.map { url.setting("username", to: $0) } ?? url, in: self.conversation)
        case .agents:
            let isItsOwn = self.location.dialect == .agents
            var url = isItsOwn ? self.location.url : self.location.url("/v1/ws")
            if let channel = self.conversation, !isItsOwn || self.location.conversation == nil {
                url = url.setting("channel_id", to: channel)
            }
            return AgentsClient(url, in: self.conversation, as: owner?.agent)
        case .rooms:
            let url = self.location.url("/socket.io/").setting("EIO", to: "4").setting(
                "transport", to: "websocket")
            let me =
                owner.map { RoomsClient.LocalUser(user: $0.user, name: $0.name) }
                ?? RoomsClient.LocalUser(user: guest, name: name ?? guest)
            return RoomsClient(url, in: conversation, as: me, token: token)
        }
    }
}
