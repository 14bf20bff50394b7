import JSON

/// The Chats protocol: users and messages have numbers, and what is sent twice under one `local_id` is stored once.
struct ChatsClient: ClientDialect {
    private let place: WebSocketURL
    /// Nil until one is made.
    private var chat: String?
    private var entrance: Entrance?
    /// Whether the answer to `joinChat` has not come.
    private var isJoining = false
    private var me: String?
    private(set) var ownName: String?
    /// Lists of messages that were asked for, in the order in which they are answered.
    private var asked: [Asked] = []
    /// The line that is not answered, and who sent it: somebody without a token and a name is somebody else on every connection.
    private var underWay: (line: LineOutbox.Line, sender: String?)?

    private enum Asked {
        case entrance(last: Int)
        case history
    }

    /// What is asked for of what was missed, and where that is not enough, all that the server gives.
    private static let missedLimit = 100
    private static let everything = 10_000
    /// Ten thousand messages, and what each of them has.
    private static let valueLimit = 1 << 18

    init(_ place: WebSocketURL, in chat: String?) {
        self.place = place
        self.chat = chat
    }

    var dialect: ChatDialect { .chats }
    var abilities: Set<ClientAbility> { [.history, .members, .receipts] }

    func url(after: Int?) -> WebSocketURL { self.place }

    mutating func connected() {
        self.asked = []
        self.isJoining = false
    }

    mutating func enter(_ entrance: Entrance) -> [DialectStep] {
        self.entrance = entrance
        return [.send(self.chat.map { self.join($0) } ?? #"{"type":"createEmptyChat","data":{}}"#)]
    }

    /// With a number, which comes back: announcements of others have none. And without one all that was said would count as read.
    private mutating func join(_ chat: String) -> String {
        self.isJoining = true
        return Self.frame("joinChat", ["chat": Self.tree(ofID: chat), "last_read_message": 0])
    }

    mutating func frames(for wish: ClientWish) -> [String] {
        guard let chat = self.chat.map(Self.tree(ofID:)) else { return [] }
        switch wish {
        case .send(let line):
            self.underWay = (line, self.me)
            return [Self.frame("newMessage", ["chat": chat, "text": .string(line.text), "local_id": .string(line.localID)])]
        case .history(let limit):
            self.asked.append(.history)
            return [Self.frame("getChatMessages", ["chatId": chat, "last": .integer(limit)])]
        case .members: return [Self.frame("getChatDetails", ["chatId": chat])]
        case .read(let id): return [Self.frame("markRead", ["chat": chat, "last_read_message": .integer(id)])]
        case .edit, .delete, .typing: return []
        }
    }

    private static func frame(_ type: String, _ data: JSONTree) -> String {
        (["type": .string(type), "data": data] as JSONTree).text
    }

    /// An integer where it can be one, as the protocol has it; a string for the ids of other protocols.
    private static func tree(ofID id: String) -> JSONTree {
        guard let number = Int(id), number >= 0, number < 1 << 53, String(number) == id else { return .string(id) }
        return .integer(number)
    }

    private static func id(_ tree: JSONTree?) -> String? {
        tree.flatMap { $0.stringValue ?? $0.integerValue.map { String($0) } }
    }

    // MARK: What the server says

    mutating func heard(_ text: [UInt8]) -> [DialectStep] {
        guard let frame = JSONTree.frame(text, valueLimit: Self.valueLimit), let type = frame["type"]?.stringValue,
            let data = frame["data"]
        else { return .nonsense }
        switch type {
        case "emptyChatCreated":
            return self.created(data)
        case "chatJoined":
            return self.joined(data)
        case "chatMessages":
            return self.answered((data.elements ?? []).compactMap { ChatMessage(chats: $0) })
        case "messageCreated":
            guard self.isHere(data["chat"]), let message = ChatMessage(chats: data) else { return [] }
            if let localID = message.localID, self.underWay?.line.localID == localID { self.underWay = nil }
            return [.event(.message(message))]
        case "messagesRead":
            guard self.isHere(data["chat"]), Self.id(data["user"]?["id"]) != self.me, let id = data["last_read_message"]?.messageID else {
                return []
            }
            return [.event(.readThrough(id))]
        case "chatDetails":
            guard self.isHere(data["id"]) else { return [] }
            return [.event(.members((data["participants"]?.elements ?? []).compactMap { $0["username"]?.stringValue }))]
        case "error":
            return [self.failed(data)]
        default:
            return []
        }
    }

    private func isHere(_ id: JSONTree?) -> Bool { self.chat != nil && Self.id(id) == self.chat }

    private mutating func created(_ data: JSONTree) -> [DialectStep] {
        guard self.chat == nil, let id = Self.id(data["id"]) else { return [] }
        self.chat = id
        let words = "Chat \(SafeText.line(id, limit: 128)) is made; others come in with --conversation \(SafeText.line(id, limit: 128))."
        return [.event(.notice(words)), .send(self.join(id))]
    }

    private mutating func joined(_ data: JSONTree) -> [DialectStep] {
        guard self.isHere(data["chat"]), let user = Self.id(data["user"]?["id"]) else { return [] }
        guard self.isJoining, data["last_read_message"] != nil else {
            guard user != self.me, let name = data["user"]?["username"]?.stringValue else { return [] }
            return [.event(.notice("\(SafeText.line(name, limit: 128)) has joined."))]
        }
        self.isJoining = false
        self.me = user
        self.ownName = data["user"]?["username"]?.stringValue
        let limit = self.entrance?.after == nil ? self.entrance?.limit ?? 1 : Self.missedLimit
        return [.event(.identified(user)), .send(self.ask(last: limit))]
    }

    private mutating func ask(last limit: Int) -> String {
        self.asked.append(.entrance(last: limit))
        return Self.frame("getChatMessages", ["chatId": Self.tree(ofID: self.chat ?? ""), "last": .integer(limit)])
    }

    private mutating func answered(_ messages: [ChatMessage]) -> [DialectStep] {
        guard !self.asked.isEmpty else { return [] }
        switch self.asked.removeFirst() {
        case .history: return [.event(.history(messages))]
        case .entrance(let last):
            guard let after = self.entrance?.after else { return [.event(.entered(messages))] }
            if let first = messages.first, first.id > after + 1, messages.count == last, last < Self.everything {
                return [.send(self.ask(last: Self.everything))]
            }
            var missed = messages.filter { $0.id > after }
            self.findLineUnderWay(among: &missed)
            return [.event(.entered(missed))]
        }
    }

    /// A stranger's line cannot be sent again under its id, which was another stranger's: it is looked for among what was missed.
    private mutating func findLineUnderWay(among missed: inout [ChatMessage]) {
        guard let underWay = self.underWay, underWay.sender != self.me,
            let place = missed.firstIndex(where: { $0.sender == underWay.sender && $0.content == underWay.line.text })
        else { return }
        missed[place].localID = underWay.line.localID
        self.underWay = nil
    }

    private mutating func failed(_ data: JSONTree) -> DialectStep {
        let sentence = data.sentence("message")
        let request: ClientRequest?
        switch data["request"]?.stringValue {
        case "newMessage":
            let localID = data["local_id"]?.stringValue ?? self.underWay?.line.localID
            return .event(.failed(localID: localID, sentence: sentence, retryAfter: data.retryAfter))
        case "joinChat", "createEmptyChat":
            self.isJoining = false
            request = .entrance
        case "getChatMessages":
            switch self.asked.isEmpty ? .history : self.asked.removeFirst() {
            case .entrance: request = .entrance
            case .history: request = .history
            }
        case "getChatDetails": request = .members
        case "markRead": request = .aside
        default: request = nil
        }
        return .event(.refused(request, sentence: sentence, retryAfter: data.retryAfter))
    }
}
