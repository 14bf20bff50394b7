extension ChatDialect {
    public static let pets = ChatDialect(
        "pets", title: "Pets",
        match: { $0.last == "ws" ? PathMatch(mountCount: $0.count - 1) : nil },
        client: { PetsClient($0.location.url("/ws/"), in: $0.conversation ?? "") })
}
