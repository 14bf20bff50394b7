import Bytes
import JSON

/// The Conversations protocol: a connection is one conversation, which goes on behind `after`.
struct ConversationsClient: ClientDialect {
    private let place: WebSocketURL
    /// Histories that were asked for, in the order in which they are answered.
    private var asked: [Asked] = []
    /// The highest revision that was seen; nil while none was.
    private var revision: Int?

    private enum Asked: Equatable {
        case entrance(isFirst: Bool)
        case history
    }

    /// - Parameter place: the conversation's own URL.
    init(_ place: WebSocketURL) {
        self.place = place
    }

    var dialect: ChatDialect { .conversations }
    var abilities: Set<ClientAbility> { [.presence, .history, .edits, .typing, .receipts] }
    var replays: Bool { true }
    var waitsAtTheDoor: Bool { false }

    func url(after: Int?) -> WebSocketURL {
        guard let after else { return self.place }
        let place = self.place.setting("after", to: String(after))
        return self.revision.map { place.setting("rev", to: String($0)) } ?? place
    }

    mutating func connected() {
        self.asked = []
    }

    /// The server reads nothing before one is in: whatever it answers says so.
    mutating func enter(_ entrance: Entrance) -> [DialectStep] {
        self.asked.append(.entrance(isFirst: entrance.after == nil))
        return [.send(Self.fetch(entrance.after == nil ? entrance.limit : 1))]
    }

    mutating func frames(for wish: ClientWish) -> [String] {
        switch wish {
        case .send(let line):
            return [(["action": "send_message", "content": .string(line.text), "local_id": .string(line.localID)] as JSONTree).text]
        case .history(let limit):
            self.asked.append(.history)
            return [Self.fetch(limit)]
        case .edit(let id, let content):
            return [(["action": "edit_message", "message_id": .string(String(id)), "content": .string(content)] as JSONTree).text]
        case .delete(let id): return [#"{"action":"delete_message","message_id":"\#(id)"}"#]
        case .typing(let isTyping): return [#"{"action":"typing","is_typing":\#(isTyping)}"#]
        case .read(let id): return [#"{"action":"read","message_ids":["\#(id)"]}"#]
        case .members: return []
        }
    }

    private static func fetch(_ limit: Int) -> String { #"{"action":"fetch_messages","limit":\#(limit)}"# }

    mutating func heard(_ text: [UInt8]) -> [DialectStep] {
        guard let tree = JSONTree.frame(text), let frame = ConversationsFrame(tree) else { return .nonsense }
        if let revision = tree["rev"]?.integerValue { self.revision = max(self.revision ?? 0, revision) }
        switch frame {
        case .message(let message): return [.event(.message(message))]
        case .fetched(let newestFirst): return self.answered(newestFirst)
        case .failed(let localID, let sentence, let retryAfter):
            return [.event(.failed(localID: localID, sentence: sentence, retryAfter: retryAfter))]
        case .edited(let message): return [.event(.edited(message))]
        case .deleted(let message): return [.event(.deleted(message))]
        case .typing(let user, let name, let isTyping): return [.event(.typing(user: user, name: name, isTyping: isTyping))]
        case .status(let id, let status): return [.event(.status(id: id, status))]
        case .presence(let user, let isOnline): return [.event(.presence(user: user, name: user, isOnline: isOnline))]
        case .crowd(let online): return [.event(.crowd(online: online))]
        case .heartbeat: return [.send(#"{"action":"heartbeat_ack"}"#)]
        case .error(_, _, _, let oldestID?):
            self.revision = nil
            return [.event(.truncated(oldestID: oldestID))]
        case .reset(let head):
            self.revision = nil
            return [.event(.reset(head: head))]
        case .error(let action, let sentence, let retryAfter, nil):
            return [.event(.refused(self.request(action), sentence: sentence, retryAfter: retryAfter))]
        case .other: return []
        }
    }

    private mutating func answered(_ newestFirst: [ChatMessage]) -> [DialectStep] {
        guard !self.asked.isEmpty else { return [] }
        switch self.asked.removeFirst() {
        case .entrance(isFirst: true): return [.event(.entered(newestFirst.reversed()))]
        // What was missed is replayed; this may be ahead of it.
        case .entrance(isFirst: false): return [.event(.entered([]))]
        case .history: return [.event(.history(newestFirst.reversed()))]
        }
    }

    private mutating func request(_ action: String?) -> ClientRequest? {
        switch action {
        case "fetch_messages":
            guard !self.asked.isEmpty else { return .history }
            return self.asked.removeFirst() == .history ? .history : .entrance
        case "edit_message": return .edit
        case "delete_message": return .delete
        case "typing", "read": return .aside
        default: return nil
        }
    }
}
