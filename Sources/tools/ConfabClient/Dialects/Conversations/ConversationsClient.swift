import Bytes
import JSON

/// The Conversations protocol: a connection serves one conversation, and resumes after a message.
struct ConversationsClient: ClientDialect {
    private let baseURL: WebSocketURL
    /// Unanswered `fetch_messages` requests, in the order of their answers.
    private var pendingRequests: [FetchRequest] = []
    private enum FetchRequest: Equatable {
        case join(isFirst: Bool)
        case page(PartialPage)
    }
    /// The pinned messages received so far, of a list that comes in parts.
    private var pins: [ChatMessage] = []

    /// - Parameter baseURL: the URL of the conversation.
    init(_ baseURL: WebSocketURL) {
        self.baseURL = baseURL
    }

    var dialect: ChatDialect { .conversations }
    var capabilities: Set<ClientCapability> {
        [
            .presence, .history, .olderPages, .gapPages, .edits, .typing, .receipts,
            .messageFeatures,
        ]
    }
    var replaysMissedMessages: Bool { true }
    var mustJoinBeforeSending: Bool { false }

    func url(after: Int?, rev: Int?) -> WebSocketURL { self.baseURL.resuming(after, rev) }

    mutating func connectionOpened() {
        self.pendingRequests = []
        self.pins = []
    }

    /// Requests messages, because the server answers only after the client has joined.
    mutating func join(_ options: JoinOptions) -> [DialectStep] {
        self.pendingRequests.append(.join(isFirst: options.after == nil))
        return [.send(Self.fetchFrame(.newest(options.after == nil ? options.limit : 1)))]
    }

    mutating func frames(for command: ClientCommand) -> [String] {
        switch command {
        case .send(let line):
            return [
                JSONTree.object(
                    [
                        .init("action", "send_message"), .init("content", .string(line.text)),
                        .init("local_id", .string(line.localID)),
                    ] + line.featureFields
                ).text
            ]
        case .page(let query):
            self.pendingRequests.append(.page(PartialPage(query)))
            return [Self.fetchFrame(query)]
        case .thread(let root, let query):
            self.pendingRequests.append(.page(PartialPage(query, thread: root)))
            return [Self.fetchFrame(query, thread: root)]
        case .react(let id, let emoji, let isOn):
            return [
                ([
                    "action": "react", "message_id": .string(String(id)),
                    "emoji": .string(emoji), "on": .bool(isOn),
                ] as JSONTree).text
            ]
        case .pin(let id): return [#"{"action":"pin","message_id":"\#(id)"}"#]
        case .unpin(let id): return [#"{"action":"unpin","message_id":"\#(id)"}"#]
        case .pins: return [#"{"action":"pins"}"#]
        case .search(let text, let before, let limit):
            var fields: [JSONTree.ObjectMember] = [
                .init("action", "search"), .init("text", .string(text)),
                .init("limit", .integer(limit)),
            ]
            if let before { fields.append(.init("before_id", .string(String(before)))) }
            return [JSONTree.object(fields).text]
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

    mutating func renew(token: String) -> [String] {
        [(["action": "authenticate", "token": .string(token)] as JSONTree).text]
    }

    private static func fetchFrame(_ query: PageQuery, thread: Int? = nil) -> String {
        let thread = thread.map { #","thread":"\#($0)""# } ?? ""
        return switch query {
        case .newest(let limit): #"{"action":"fetch_messages"\#(thread),"limit":\#(limit)}"#
        case .before(let id, let limit):
            #"{"action":"fetch_messages"\#(thread),"before_id":"\#(id)","limit":\#(limit)}"#
        case .after(let id, let limit):
            #"{"action":"fetch_messages"\#(thread),"after_id":"\#(id)","limit":\#(limit)}"#
        }
    }

    mutating func receive(_ text: [UInt8]) -> [DialectStep] {
        guard let tree = JSONTree.frame(text), let frame = ConversationsFrame(tree) else {
            return .malformed
        }
        switch frame {
        case .message(let message): return [.event(.message(message))]
        case .fetched(let messages, let rev): return self.receivedMessages(messages, rev, tree)
        case .feature(.pins(let messages)):
            self.pins += messages
            if let cursor = tree["next_cursor"]?.stringValue, !messages.isEmpty {
                return [.send((["action": "pins", "cursor": .string(cursor)] as JSONTree).text)]
            }
            return [.event(.pins(exchange(&self.pins, with: [])))]
        case .sendFailed(let localID, let reason, let retryAfter):
            return [.event(.sendFailed(localID: localID, reason: reason, retryAfter: retryAfter))]
        case .edited(let message): return [.event(.edited(message))]
        case .deleted(let message): return [.event(.deleted(message))]
        case .feature(let event): return [.event(event)]
        case .typing(let user, let name, let isTyping):
            return [.event(.typing(user: user, name: name, isTyping: isTyping))]
        case .status(let id, let status): return [.event(.status(id: id, status))]
        case .read(let user, let ids): return [.event(.read(by: user, ids: ids))]
        case .presence(let user, let name, let isOnline):
            return [.event(.presence(user: user, name: name, isOnline: isOnline))]
        case .onlineCount(let online): return [.event(.onlineCount(online: online))]
        case .heartbeat: return [.send(#"{"action":"heartbeat_ack"}"#)]
        case .error(_, _, _, let oldestID?):
            return [.event(.truncated(oldestID: oldestID))]
        case .reset(let head):
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

    /// - Parameter messages: oldest first after a message, else newest first.
    private mutating func receivedMessages(
        _ messages: [ChatMessage], _ rev: Int?, _ answer: JSONTree
    ) -> [DialectStep] {
        guard !self.pendingRequests.isEmpty else { return [] }
        let messages = messages.sorted { $0.id < $1.id }
        switch self.pendingRequests.removeFirst() {
        case .join(isFirst: true): return [.event(.joined(.newest(messages, rev: rev)))]
        // The server replays missed messages. The answer may arrive before them.
        case .join(isFirst: false):
            return [.event(.joined(.replaying(head: messages.last?.id ?? 0)))]
        case .page(var page):
            guard let rest = page.add(messages, of: answer) else {
                return [.event(.page(page.messages))]
            }
            // Answers come in the order of the requests.
            self.pendingRequests.append(.page(page))
            return [.send(Self.fetchFrame(rest, thread: page.thread))]
        }
    }

    private mutating func requestKind(_ action: String?) -> ClientRequestKind? {
        switch action {
        case "fetch_messages":
            guard !self.pendingRequests.isEmpty else { return .page }
            if case .join = self.pendingRequests.removeFirst() { return .join }
            return .page
        case "edit_message": return .edit
        case "delete_message": return .delete
        case "react": return .react
        case "pin": return .pin
        case "unpin": return .unpin
        case "pins":
            self.pins = []
            return .pins
        case "search": return .search
        case "typing", "read", "authenticate": return .ephemeral
        default: return nil
        }
    }
}
