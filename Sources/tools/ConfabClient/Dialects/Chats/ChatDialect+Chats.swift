extension ChatDialect {
    /// Without a conversation the client creates one.
    public static let chats = ChatDialect(
        "chats", title: "Chats", acceptsNames: true, needsConversation: false,
        match: { path in
            path.suffix(2) == ["ws", "chats"] ? PathMatch(mountCount: path.count - 2) : nil
        },
        client: { context in
            let url = context.location.url("/ws/chats/")
            return ChatsClient(
                context.name.map { url.setting("username", to: $0) } ?? url,
                in: context.conversation)
        })
}
