import Bytes

extension ChatDialect {
    public static let conversations = ChatDialect(
        "conversations", title: "Conversations", requiresToken: true,
        missingConversation: """
            The URL names no conversation, as ws://127.0.0.1:8080/conversations/general/ does; or \
            give one with --conversation.
            """,
        match: { path in
            path.lastIndex(of: "conversations").map {
                PathMatch(mountCount: $0, conversation: path[($0 + 1)...].first)
            }
        },
        ownUser: { $0.claims?.displayedUser },
        client: { context in
            let location = context.location
            let path = "/conversations/\(PercentEncoding.encode(context.conversation ?? ""))/"
            return ConversationsClient(
                context.hasOwnPath && location.conversation != nil
                    ? location.url : location.url(path))
        })
}
