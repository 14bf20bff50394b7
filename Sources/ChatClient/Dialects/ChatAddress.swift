internal import Bytes

/// Which protocol is spoken, in which conversation, by whom: all that a dialect is made of.
struct ChatAddress {
    let place: ChatPlace
    let dialect: ChatDialect
    /// Nil where the protocol can do without.
    let conversation: String?

    /// - Throws: what is missing, or said twice and differently.
    init(_ place: ChatPlace, dialect: ChatDialect?, conversation: String?) throws(ChatTerminalError) {
        if let conversation, let named = place.conversation, conversation != named {
            throw .twoConversations(conversation, named)
        }
        self.place = place
        self.dialect = dialect ?? place.dialect ?? .conversations
        self.conversation = conversation ?? place.conversation
        switch self.dialect {
        case .conversations, .pets, .rooms: if self.conversation == nil { throw .noConversation(self.dialect) }
        // One is made, and agents have an inbox.
        case .chats, .agents: break
        }
    }

    /// Whether nobody comes in without a token.
    var needsToken: Bool { self.dialect == .conversations || self.dialect == .agents }

    /// Whether somebody without a token says how to be called.
    var takesNames: Bool { self.dialect == .chats || self.dialect == .rooms }

    /// The id by which one's own messages are known; nil where only the server knows it.
    func user(_ owner: TokenOwner?, guest: String) -> String? {
        switch self.dialect {
        case .conversations: owner?.shownUser
        case .agents: owner?.agent
        case .rooms: owner?.shownUser ?? "guest:\(guest)"
        case .pets, .chats: nil
        }
    }

    /// - Parameters:
    ///   - owner: whom the token names, where it can be read.
    ///   - name: of somebody without a token.
    ///   - guest: an id for somebody without a token, unlike any other's.
    func client(token: String?, owner: TokenOwner?, name: String?, guest: String) -> any ClientDialect {
        let conversation = self.conversation ?? ""
        switch self.dialect {
        case .conversations:
            let isItsOwn = self.place.dialect == .conversations && self.place.conversation != nil
            let path = "/conversations/\(PercentEncoding.encode(conversation))/"
            return ConversationsClient(isItsOwn ? self.place.url : self.place.url(path))
        case .pets:
            return PetsClient(self.place.url("/ws/"), in: conversation)
        case .chats:
            let url = self.place.url("/ws/chats/")
            return ChatsClient(name.map { url.setting("username", to: $0) } ?? url, in: self.conversation)
        case .agents:
            let isItsOwn = self.place.dialect == .agents
            var url = isItsOwn ? self.place.url : self.place.url("/v1/ws")
            if let channel = self.conversation, !isItsOwn || self.place.conversation == nil {
                url = url.setting("channel_id", to: channel)
            }
            return AgentsClient(url, in: self.conversation, as: owner?.agent)
        case .rooms:
            let url = self.place.url("/socket.io/").setting("EIO", to: "4").setting("transport", to: "websocket")
            let me = owner.map { RoomsClient.Me(user: $0.user, name: $0.name) } ?? RoomsClient.Me(user: guest, name: name ?? guest)
            return RoomsClient(url, in: conversation, as: me, token: token)
        }
    }
}
