internal import Bytes

/// A URL of any protocol, as a server and, if it names one, a conversation.
///
/// One URL works for all protocols; only `--dialect` changes. URLs from a protocol's own
/// documentation work too.
struct ChatURL: Equatable {
    /// The original URL.
    let url: WebSocketURL
    /// The path before the protocol's own path; empty unless the server is mounted below a path.
    let mountPath: String
    /// The protocol that the path belongs to; nil for an unknown path.
    let dialect: ChatDialect?
    /// Nil if the URL does not name one.
    let conversation: String?

    init(_ url: WebSocketURL) {
        self.url = url
        let parts = url.path.split(separator: "/").map(String.init)
        var mountCount = parts.count
        var dialect: ChatDialect?
        var conversation: String?
        if let index = parts.lastIndex(of: "conversations") {
            (mountCount, dialect) = (index, .conversations)
            conversation = parts[(index + 1)...].first
        } else if parts.count >= 2, parts[parts.count - 2] == "conversation" {
            // The link that users share.
            (mountCount, dialect, conversation) = (parts.count - 2, .rooms, parts.last)
        } else if let index = parts.indices.last(where: { parts[$0...].starts(with: ["v1", "ws"]) })
        {
            (mountCount, dialect) = (index, .agents)
            let names = parts[(index + 2)...]
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

    /// The URL of another path of the server.
    func url(_ path: String) -> WebSocketURL {
        self.url.replacing(path: self.mountPath + path)
    }
}
