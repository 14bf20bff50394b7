import Bytes
import JSON

/// The Conversations protocol: a connection serves one conversation, and resumes after a message.
struct ConversationsClient: ClientDialect {
    private let baseURL: WebSocketURL
    /// Unanswered `fetch_messages` requests, in the order of their answers.
    private var pendingRequests: [FetchRequest] = []
    /// The highest revision that was received; nil before the first.
    private var revision: Int?

    private enum FetchRequest: Equatable {
        case join(isFirst: Bool)
        case history
    }

    /// - Parameter baseURL: the URL of the conversation.
    init(_ baseURL: WebSocketURL) {
        self.baseURL = baseURL
    }

    var dialect: ChatDialect { .conversations }
    var capabilities: Set<ClientCapability> { [.presence, .history, .edits, .typing, .receipts] }
    var replaysMissedMessages: Bool { true }
    var mustJoinBeforeSending: Bool { false }

    func url(after: Int?) -> WebSocketURL {
        guard let after else { return self.baseURL }
        let baseURL = self.baseURL.setting("after", to: String(after))
        return self.revision.map { baseURL.setting("rev", to: String($0)) } ?? baseURL
    }

    mutating func connectionOpened() {
        self.pendingRequests = []
    }

    /// Requests messages, because the server answers only after the client has joined.
    mutating func join(_ options: JoinOptions) -> [DialectStep] {
        self.pendingRequests.append(.join(isFirst: options.after == nil))
        return [.send(Self.fetchFrame(options.after == nil ? options.limit : 1))]
    }

    mutating func frames(for command: ClientCommand) -> [String] {
        switch command {
        case .send(let line):
            return [
                ([
                    "action": "send_message", "content": .string(line.text),
                    "local_id": .string(line.localID),
                ] as JSONTree).text
            ]
        case .history(let limit):
            self.pendingRequests.append(.history)
            return [Self.fetchFrame(limit)]
        case .edit(let id, let content):
            return [
                ([
                    "action": "edit_message", "message_id": .string(String(id)),
                    "content": .string(content),
                ] as JSONTree).text
            ]
        case .delete(let id): return [#"{"action":"delete_message","message_id":"\#(id)"}"#]
        case .typing(let isTyping): return [#"{"action":"typing","is_typing":\#(isTyping)}"#]
        case .read(let id): return [#"{"action":"read","message_ids":["\#(id)"]}"#]
        case .members: return []
        }
    }

    private static func fetchFrame(_ limit: Int) -> String {
        #"{"action":"fetch_messages","limit":\#(limit)}"#
    }

    mutating func receive(_ text: [UInt8]) -> [DialectStep] {
        guard let tree = JSONTree.frame(text), let frame = ConversationsFrame(tree) else {
            return .malformed
        }
        if let revision = tree["rev"]?.integerValue {
            self.revision = max(self.revision ?? 0, revision)
        }
        switch frame {
        case .message(let message): return [.event(.message(message))]
        case .fetched(let newestFirst): return self.receivedMessages(newestFirst)
        case .sendFailed(let localID, let reason, let retryAfter):
            return [.event(.sendFailed(localID: localID, reason: reason, retryAfter: retryAfter))]
        case .edited(let message): return [.event(.edited(message))]
        case .deleted(let message): return [.event(.deleted(message))]
        case .typing(let user, let name, let isTyping):
            return [.event(.typing(user: user, name: name, isTyping: isTyping))]
        case .status(let id, let status): return [.event(.status(id: id, status))]
        case .presence(let user, let isOnline):
            return [.event(.presence(user: user, name: user, isOnline: isOnline))]
        case .onlineCount(let online): return [.event(.onlineCount(online: online))]
        case .heartbeat: return [.send(#"{"action":"heartbeat_ack"}"#)]
        case .error(_, _, _, let oldestID?):
            self.revision = nil
            return [.event(.truncated(oldestID: oldestID))]
        case .reset(let head):
            self.revision = nil
            return [.event(.reset(head: head))]
        case .error(let action, let reason, let retryAfter, nil):
            return [
                .event(
                    .requestFailed(
                        self.requestKind(action), reason: reason, retryAfter: retryAfter))
            ]
        case .other: return []
        }
    }

    private mutating func receivedMessages(_ newestFirst: [ChatMessage]) -> [DialectStep] {
        guard !self.pendingRequests.isEmpty else { return [] }
        switch self.pendingRequests.removeFirst() {
        case .join(isFirst: true): return [.event(.joined(newestFirst.reversed()))]
        // The server replays missed messages. The answer may arrive before them, so it is not used.
        case .join(isFirst: false): return [.event(.joined([]))]
        case .history: return [.event(.history(newestFirst.reversed()))]
        }
    }

    private mutating func requestKind(_ action: String?) -> ClientRequestKind? {
        switch action {
        case "fetch_messages":
            guard !self.pendingRequests.isEmpty else { return .history }
            return self.pendingRequests.removeFirst() == .history ? .history : .join
        case "edit_message": return .edit
        case "delete_message": return .delete
        case "typing", "read": return .ephemeral
        default: return nil
        }
    }
}
