internal import Bytes

/// Where a URL points, whatever protocol it was written for: a server, and a conversation where it names one.
///
/// So one URL does for all protocols, and only `--dialect` changes; and one that was copied from a protocol's document does, too.
struct ChatURL: Equatable {
    /// The URL as it was given.
    let url: WebSocketURL
    /// What stands in front of the protocols' own paths: a slash, or where a server is mounted.
    let mountPath: String
    /// Whose path it is; nil where it is nobody's.
    let dialect: ChatDialect?
    /// Nil where the URL names none.
    let conversation: String?

    init(_ url: WebSocketURL) {
        self.url = url
        let parts = url.path.split(separator: "/").map(String.init)
        var mountCount = parts.count
        var dialect: ChatDialect?
        var conversation: String?
        if let place = parts.lastIndex(of: "conversations") {
            (mountCount, dialect) = (place, .conversations)
            conversation = parts[(place + 1)...].first
        } else if parts.count >= 2, parts[parts.count - 2] == "conversation" {
            // The link that people share.
            (mountCount, dialect, conversation) = (parts.count - 2, .rooms, parts.last)
        } else if let place = parts.indices.last(where: { parts[$0...].starts(with: ["v1", "ws"]) })
        {
            (mountCount, dialect) = (place, .agents)
            let names = parts[(place + 2)...]
            if names.count == 6, names[names.startIndex + 4] == "channel" {
                conversation = names.last
            }
        } else if parts.suffix(2) == ["ws", "chats"] {
            (mountCount, dialect) = (parts.count - 2, .chats)
        } else if parts.last == "ws" {
            (mountCount, dialect) = (parts.count - 1, .pets)
        } else if parts.last == "socket.io" {
            (mountCount, dialect) = (parts.count - 1, .rooms)
        }
        self.mountPath = parts[..<mountCount].map { "/" + $0 }.joined()
        self.dialect = dialect
        self.conversation =
            conversation.flatMap { PercentEncoding.decode($0.utf8) } ?? url.parameter("channel_id")
    }

    /// A path of the server's.
    func url(_ path: String) -> WebSocketURL {
        self.url.replacing(path: self.mountPath + path)
    }
}
