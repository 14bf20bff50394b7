import Bytes
public import ConfabClient
import JSON

extension ChatDialect {
    public static let example = ChatDialect(
        "example", title: "Example", requiresToken: true,
        match: { path in
            path.lastIndex(of: "example").map {
                PathMatch(mountCount: $0, conversation: path[($0 + 1)...].first)
            }
        },
        ownUser: { $0.claims?.displayedUser },
        client: { context in
            let id = PercentEncoding.encode(context.conversation ?? "")
            return ExampleClient(context.location.url("/example/\(id)"))
        })
}

/// The client of `ExampleDialect`.
struct ExampleClient: ClientDialect {
    private let baseURL: WebSocketURL
    /// The newest message at the first join. A client that has received no message resumes here.
    private var firstHead: Int?
    private var isResuming = false

    init(_ baseURL: WebSocketURL) { self.baseURL = baseURL }

    var dialect: ChatDialect { .example }
    var capabilities: Set<ClientCapability> { [] }
    var replaysMissedMessages: Bool { true }

    func url(after: Int?, rev: Int?) -> WebSocketURL {
        (after ?? self.firstHead).map { self.baseURL.setting("after", to: String($0)) }
            ?? self.baseURL
    }

    mutating func connectionOpened() {}

    /// The server reports the join by itself.
    mutating func join(_ options: JoinOptions) -> [DialectStep] {
        self.isResuming = options.after != nil
        return []
    }

    mutating func frames(for command: ClientCommand) -> [String] {
        guard case .send(let line) = command else { return [] }
        let frame: JSONTree = ["content": .string(line.text), "id": .string(line.localID)]
        return [frame.text]
    }

    mutating func receive(_ text: [UInt8]) -> [DialectStep] {
        guard let frame = try? JSONTree(parsing: text.span.bytes), frame.members != nil else {
            return .malformed
        }
        if let head = frame["joined"]?.integerValue {
            self.firstHead = self.firstHead ?? head
            return [.event(.joined(self.isResuming ? .replaying(head: nil) : .withoutHistory))]
        }
        if let id = frame["message"]?.integerValue {
            let message = ChatMessage(
                id: id, author: frame["author"]?.stringValue ?? "",
                text: frame["content"]?.stringValue ?? "",
                localID: frame["id"]?.stringValue)
            return [.event(.message(message))]
        }
        if let oldest = frame["truncated"]?.integerValue {
            return [.event(.truncated(oldestID: oldest))]
        }
        if let head = frame["reset"]?.integerValue { return [.event(.reset(head: head))] }
        let reason = frame["error"]?.stringValue ?? "no reason was given"
        return [
            .event(
                .sendFailed(localID: frame["id"]?.stringValue, reason: reason, retryAfter: nil))
        ]
    }
}
