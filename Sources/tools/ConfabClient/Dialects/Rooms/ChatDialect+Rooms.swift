extension ChatDialect {
    public static let rooms = ChatDialect(
        "rooms", title: "Rooms", acceptsNames: true,
        match: { path in
            // The link that users share.
            if path.count >= 2, path[path.count - 2] == "conversation" {
                return PathMatch(mountCount: path.count - 2, conversation: path.last)
            }
            return path.last == "socket.io" ? PathMatch(mountCount: path.count - 1) : nil
        },
        ownUser: { $0.claims?.displayedUser ?? "guest:\($0.guest)" },
        client: { context in
            let url = context.location.url("/socket.io/").setting("EIO", to: "4").setting(
                "transport", to: "websocket")
            let me =
                context.claims.map { RoomsClient.LocalUser(user: $0.user, name: $0.name) }
                ?? RoomsClient.LocalUser(
                    user: context.guest, name: context.name ?? context.guest)
            return RoomsClient(url, in: context.conversation ?? "", as: me, token: context.token)
        })
}
