/// The protocol and the conversation of a chat, from the URL and the options.
package struct ChatTarget: Sendable {
    package let location: ChatURL
    package let dialect: ChatDialect
    /// Nil where the protocol does not need one.
    package private(set) var conversation: String?

    /// - Parameter dialects: all protocols; the first is the default.
    /// - Parameter namesConversation: whether the conversation must be known.
    /// - Throws: if the conversation is missing, or if option and URL name different ones.
    package init(
        _ url: WebSocketURL, dialect: ChatDialect?, conversation: String?,
        among dialects: [ChatDialect], namesConversation: Bool = true
    ) throws(ConfabError) {
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
        if namesConversation, self.conversation == nil, dialect.needsConversation {
            throw .noConversation(dialect)
        }
    }

    /// The same server and protocol with another conversation.
    package func replacing(conversation: String) -> ChatTarget {
        var target = self
        target.conversation = conversation
        return target
    }

    /// Whether the URL's path is the protocol's, and names no other conversation.
    private var hasOwnPath: Bool {
        self.location.dialect == self.dialect
            && (self.location.conversation == nil
                || self.location.conversation == self.conversation)
    }

    /// - Parameters:
    ///   - claims: the token's claims, if it can be read.
    ///   - name: the name of an anonymous user.
    ///   - guest: a unique id for an anonymous user.
    package func context(
        token: String?, claims: UnverifiedTokenClaims?, name: String?, guest: String
    )
        -> ClientContext
    {
        ClientContext(
            location: self.location, hasOwnPath: self.hasOwnPath,
            conversation: self.conversation, token: token, claims: claims, name: name, guest: guest)
    }
}
