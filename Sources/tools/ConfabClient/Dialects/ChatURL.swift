internal import Bytes

/// A URL of any protocol, as a server and, if it names one, a conversation.
///
/// One URL works for all protocols; only `--dialect` changes. URLs from a protocol's own
/// documentation work too.
public struct ChatURL: Sendable, Equatable {
    /// The original URL.
    public let url: WebSocketURL
    /// The path before the protocol's own path; empty unless the server is mounted below a path.
    let mountPath: String
    /// The protocol that the path belongs to; nil for an unknown path.
    public let dialect: ChatDialect?
    /// Nil if the URL does not name one.
    public let conversation: String?

    /// If several protocols have a part of the path, the URL belongs to the one with the longest:
    /// `/v1/ws` is not `/ws` below `/v1`.
    init(_ url: WebSocketURL, among dialects: [ChatDialect]) {
        self.url = url
        let parts = url.path.split(separator: "/").map(String.init)
        let matches = dialects.compactMap { dialect in
            dialect.match(parts).map { (dialect: dialect, path: $0) }
        }
        let match = matches.min { $0.path.mountCount < $1.path.mountCount }
        self.mountPath = parts[..<(match?.path.mountCount ?? parts.count)].map { "/" + $0 }.joined()
        self.dialect = match?.dialect
        self.conversation =
            match?.path.conversation.flatMap { PercentEncoding.decode($0.utf8) }
            ?? url.parameter("channel_id")
    }

    /// The URL of another path of the server.
    public func url(_ path: String) -> WebSocketURL {
        self.url.replacing(path: self.mountPath + path)
    }
}
