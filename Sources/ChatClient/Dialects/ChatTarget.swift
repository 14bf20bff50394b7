internal import Bytes

/// The protocol and the conversation of a chat, from the URL and the options.
struct ChatTarget {
    let location: ChatURL
    let dialect: ChatDialect
    /// Nil where the protocol does not need one.
    let conversation: String?

    /// - Throws: if the conversation is missing, or if option and URL name different ones.
    init(_ url: ChatURL, dialect: ChatDialect?, conversation: String?) throws(ChatTerminalError) {
        if let conversation, let named = url.conversation, conversation != named {
            throw .twoConversations(conversation, named)
        }
        self.location = url
        self.dialect = dialect ?? url.dialect ?? .conversations
        self.conversation = conversation ?? url.conversation
        switch self.dialect {
        case .conversations, .pets, .rooms:
            if self.conversation == nil { throw .noConversation(self.dialect) }
        // Chats creates a conversation, and Agents has an inbox.
        case .chats, .agents: break
        }
    }

    /// Whether the protocol requires a token.
    var needsToken: Bool { self.dialect == .conversations || self.dialect == .agents }

    /// Whether an anonymous user may choose a name.
    var acceptsNames: Bool { self.dialect == .chats || self.dialect == .rooms }

    /// The id of the user's own messages; nil where only the server knows it.
    func ownUser(_ claims: UnverifiedTokenClaims?, guest: String) -> String? {
        switch self.dialect {
        case .conversations: claims?.displayedUser
        case .agents: claims?.agent
        case .rooms: claims?.displayedUser ?? "guest:\(guest)"
        case .pets, .chats: nil
        }
    }

    /// - Parameters:
    ///   - claims: the token's claims, if it can be read.
    ///   - name: the name of an anonymous user.
    ///   - guest: a unique id for an anonymous user.
    func client(token: String?, claims: UnverifiedTokenClaims?, name: String?, guest: String)
        -> any ClientDialect
    {
        let conversation = self.conversation ?? ""
        switch self.dialect {
        case .conversations:
            let isOwnPath =
                self.location.dialect == .conversations && self.location.conversation != nil
            let path = "/conversations/\(PercentEncoding.encode(conversation))/"
            return ConversationsClient(isOwnPath ? self.location.url : self.location.url(path))
        case .pets:
            return PetsClient(self.location.url("/ws/"), in: conversation)
        case .chats:
            let url = self.location.url("/ws/chats/")
            return ChatsClient(
                name.map { url.setting("username", to: $0) } ?? url, in: self.conversation)
        case .agents:
            let isOwnPath = self.location.dialect == .agents
            var url = isOwnPath ? self.location.url : self.location.url("/v1/ws")
            if let channel = self.conversation, !isOwnPath || self.location.conversation == nil {
                url = url.setting("channel_id", to: channel)
            }
            return AgentsClient(url, in: self.conversation, as: claims?.agent)
        case .rooms:
            let url = self.location.url("/socket.io/").setting("EIO", to: "4").setting(
                "transport", to: "websocket")
            let me =
                claims.map { RoomsClient.LocalUser(user: $0.user, name: $0.name) }
                ?? RoomsClient.LocalUser(user: guest, name: name ?? guest)
            return RoomsClient(url, in: conversation, as: me, token: token)
        }
    }
}
