/// The protocol and the conversation of a chat, from the URL and the options.
struct ChatTarget {
    let location: ChatURL
    let dialect: ChatDialect
    /// Nil where the protocol does not need one.
    let conversation: String?

    /// - Parameter dialects: all protocols; the first is the default.
    /// - Throws: if the conversation is missing, or if option and URL name different ones.
    init(
        _ url: WebSocketURL, dialect: ChatDialect?, conversation: String?,
        among dialects: [ChatDialect]
    ) throws(ChatTerminalError) {
        let location = ChatURL(url, among: dialects)
        if let conversation, let named = location.conversation, conversation != named {
            throw .twoConversations(conversation, named)
        }
        guard let dialect = dialect ?? location.dialect ?? dialects.first else {
            preconditionFailure("the list of protocols is empty")
        }
        self.location = location
        self.dialect = dialect
        self.conversation = conversation ?? location.conversation
        if self.conversation == nil, dialect.needsConversation { throw .noConversation(dialect) }
    }

    /// - Parameters:
    ///   - claims: the token's claims, if it can be read.
    ///   - name: the name of an anonymous user.
    ///   - guest: a unique id for an anonymous user.
    func context(token: String?, claims: UnverifiedTokenClaims?, name: String?, guest: String)
        -> ClientContext
    {
        ClientContext(
            location: self.location, hasOwnPath: self.location.dialect == self.dialect,
            conversation: self.conversation, token: token, claims: claims, name: name, guest: guest)
    }
}
