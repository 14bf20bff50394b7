extension ChatDialect {
    /// Without a conversation the client has only its agent's inbox.
    public static let agents = ChatDialect(
        "agents", title: "Agents", requiresToken: true, needsConversation: false,
        match: { path in
            path.indices.last { path[$0...].starts(with: ["v1", "ws"]) }.map { index in
                let names = path[(index + 2)...]
                let hasChannel = names.count == 6 && names[names.startIndex + 4] == "channel"
                return PathMatch(mountCount: index, conversation: hasChannel ? names.last : nil)
            }
        },
        ownUser: { $0.claims?.agent },
        client: { context in
            let location = context.location
            var url = context.hasOwnPath ? location.url : location.url("/v1/ws")
            if let channel = context.conversation,
                !context.hasOwnPath || location.conversation == nil
            {
                url = url.setting("channel_id", to: channel)
            }
            return AgentsClient(url, in: context.conversation, as: context.claims?.agent)
        })
}
