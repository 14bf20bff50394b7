import Bytes
import JSON

/// The Pets protocol: what was missed is in the history, and what is sent twice under one `local_id` is stored once.
struct PetsClient: ClientDialect {
    private let place: WebSocketURL
    private let conversation: String
    /// Who the server says one is; a stranger is somebody else on every connection.
    private var me: String?
    /// Histories that were asked for, in the order in which they are answered.
    private var asked: [Asked] = []
    /// What was missed, as far as it has come.
    private var missed: [ChatMessage] = []
    /// The line that is not answered, and who sent it.
    private var underWay: (line: LineOutbox.Line, sender: String?)?

    private enum Asked {
        case entrance(isFirst: Bool)
        case history

        var request: ClientRequest {
            switch self {
            case .entrance: .entrance
            case .history: .history
            }
        }
    }

    /// The most that the server gives at once.
    private static let pageLimit = 100

    init(_ place: WebSocketURL, in conversation: String) {
        self.place = place
        self.conversation = conversation
    }

    var dialect: ChatDialect { .pets }
    var abilities: Set<ClientAbility> { [.history] }

    func url(after: Int?) -> WebSocketURL { self.place }

    mutating func connected() {
        self.asked = []
        self.missed = []
    }

    mutating func enter(_ entrance: Entrance) -> [DialectStep] {
        self.missed = []
        self.asked.append(.entrance(isFirst: entrance.after == nil))
        if let after = entrance.after { return [.send(self.page(after: after))] }
        return [.send(self.newest(entrance.limit))]
    }

    mutating func frames(for wish: ClientWish) -> [String] {
        switch wish {
        case .send(let line):
            self.underWay = (line, self.me)
            return [self.frame("message", ["content": .string(line.text), "local_id": .string(line.localID)])]
        case .history(let limit):
            self.asked.append(.history)
            return [self.newest(limit)]
        case .edit, .delete, .members, .typing, .read:
            return []
        }
    }

    private func newest(_ limit: Int) -> String { self.frame("history", ["limit": .integer(limit)]) }

    private func page(after id: Int) -> String {
        self.frame("history", ["after": .string(String(id)), "limit": .integer(Self.pageLimit)])
    }

    private func frame(_ event: String, _ fields: KeyValuePairs<String, JSONTree>) -> String {
        let data = [("conversation_id", .string(self.conversation))] + fields.map { ($0.key, $0.value) }
        return (["event": .string(event), "data": .object(data.map { JSONTree.Member($0.0, $0.1) })] as JSONTree).text
    }

    // MARK: What the server says

    mutating func heard(_ text: [UInt8]) -> [DialectStep] {
        guard let frame = JSONTree.frame(text), let event = frame["event"]?.stringValue, let data = frame["data"] else { return .nonsense }
        switch event {
        case "connected", "authenticated":
            self.me = data["user_id"]?.stringValue
            return self.me.map { [.event(.identified($0))] } ?? []
        case "history":
            guard self.isHere(data) else { return [] }
            return self.answered((data["messages"]?.elements ?? []).compactMap(ChatMessage.init(pets:)))
        case "message":
            guard self.isHere(data), let message = ChatMessage(pets: data) else { return [] }
            return [.event(.message(message))]
        case "message_sent":
            guard self.isHere(data), let localID = data["local_id"]?.stringValue, let id = data["message_id"]?.messageID else { return [] }
            if self.underWay?.line.localID == localID { self.underWay = nil }
            return [.event(.stored(localID: localID, id: id, at: data["timestamp"]?.stringValue.flatMap { Timestamp(rfc3339: $0) }))]
        case "broadcast":
            guard let sender = data["sender_id"]?.stringValue, let content = data["content"]?.stringValue else { return [] }
            return [.event(.notice("\(SafeText.line(sender, limit: 128)) says to everybody: \(SafeText.line(content))"))]
        case "error":
            return [self.failed(data)]
        default:
            return []
        }
    }

    private func isHere(_ data: JSONTree) -> Bool { data["conversation_id"]?.stringValue == self.conversation }

    private mutating func answered(_ messages: [ChatMessage]) -> [DialectStep] {
        guard !self.asked.isEmpty else { return [] }
        switch self.asked.removeFirst() {
        case .history: return [.event(.history(messages))]
        case .entrance(isFirst: true): return [.event(.entered(messages))]
        case .entrance(isFirst: false): break
        }
        self.missed += messages
        if messages.count >= Self.pageLimit, let last = messages.last {
            self.asked.append(.entrance(isFirst: false))
            return [.send(self.page(after: last.id))]
        }
        self.findLineUnderWay()
        defer { self.missed = [] }
        return [.event(.entered(self.missed))]
    }

    /// A stranger's line cannot be sent again under its id, which was another stranger's: it is looked for among what was missed.
    private mutating func findLineUnderWay() {
        guard let underWay = self.underWay, underWay.sender != self.me,
            let place = self.missed.firstIndex(where: { $0.sender == underWay.sender && $0.content == underWay.line.text })
        else { return }
        self.missed[place].localID = underWay.line.localID
        self.underWay = nil
    }

    private mutating func failed(_ data: JSONTree) -> DialectStep {
        let sentence = data.sentence("message")
        switch data["event"]?.stringValue {
        case "message":
            return .event(.failed(localID: self.underWay?.line.localID, sentence: sentence, retryAfter: data.retryAfter))
        case "history":
            let request = self.asked.isEmpty ? .history : self.asked.removeFirst().request
            return .event(.refused(request, sentence: sentence, retryAfter: data.retryAfter))
        default:
            return .event(.refused(nil, sentence: sentence, retryAfter: data.retryAfter))
        }
    }
}

extension ChatMessage {
    fileprivate init?(pets tree: JSONTree) {
        guard let id = tree["message_id"]?.messageID, let sender = tree["sender_id"]?.stringValue else { return nil }
        self.init(id: id, sender: sender, content: tree["content"]?.stringValue ?? "")
        self.sentAt = tree["timestamp"]?.stringValue.flatMap { Timestamp(rfc3339: $0) }
        self.isEdited = tree["is_edited"]?.boolValue ?? false
        self.isDeleted = tree["is_deleted"]?.boolValue ?? false
    }
}
