import JSON

/// The Chats protocol: users and messages have numbers, and what is sent twice under one `local_id` is stored once.
struct ChatsClient: ClientDialect {
    private let baseURL: WebSocketURL
    /// Nil until one is made.
    private var chat: String?
    private var joinOptions: JoinOptions?
    /// Whether the answer to `joinChat` has not come.
    private var isJoining = false
    private var ownUser: String?
    private(set) var ownName: String?
    /// Lists of messages that were asked for, in the order in which they are answered.
    private var pendingRequests: [MessagesRequest] = []
    /// The line that is not answered, and who sent it: somebody without a token and a name is somebody else on every connection.
    private var lineInFlight: (line: LineOutbox.OutgoingLine, sender: String?)?

    private enum MessagesRequest {
        case join(last: Int)
        case history
    }

    /// What is asked for of what was missed, and where that is not enough, all that the server gives.
    private static let missedLimit = 100
    private static let allMessagesLimit = 10_000
    /// Ten thousand messages, and what each of them has.
    private static let valueLimit = 1 << 18

    init(_ place: WebSocketURL, in chat: String?) {
        self.baseURL = place
        self.chat = chat
    }

    var dialect: ChatDialect { .chats }
    var capabilities: Set<ClientCapability> { [.history, .members, .receipts] }

    func url(after: Int?) -> WebSocketURL { self.baseURL }

    mutating func connectionOpened() {
        self.pendingRequests = []
        self.isJoining = false
    }

    mutating func join(_ entrance: JoinOptions) -> [DialectStep] {
        self.joinOptions = entrance
        return [
            .send(self.chat.map { self.joinFrame($0) } ?? #"{"type":"createEmptyChat","data":{}}"#)
        ]
    }

    /// With a number, which comes back: announcements of others have none. And without one all that was said would count as read.
    private mutating func joinFrame(_ chat: String) -> String {
        self.isJoining = true
        return Self.frame("joinChat", ["chat": Self.tree(ofID: chat), "last_read_message": 0])
    }

    mutating func frames(for wish: ClientCommand) -> [String] {
        guard let chat = self.chat.map(Self.tree(ofID:)) else { return [] }
        switch wish {
        case .send(let line):
            self.lineInFlight = (line, self.ownUser)
            return [
                Self.frame(
                    "newMessage",
                    ["chat": chat, "text": .string(line.text), "local_id": .string(line.localID)])
            ]
        case .history(let limit):
            self.pendingRequests.append(.history)
            return [Self.frame("getChatMessages", ["chatId": chat, "last": .integer(limit)])]
        case .members: return [Self.frame("getChatDetails", ["chatId": chat])]
        case .read(let id):
            return [Self.frame("markRead", ["chat": chat, "last_read_message": .integer(id)])]
        case .edit, .delete, .typing: return []
        }
    }

    private static func frame(_ type: String, _ data: JSONTree) -> String {
        (["type": .string(type), "data": data] as JSONTree).text
    }

    /// An integer where it can be one, as the protocol has it; a string for the ids of other protocols.
    private static func tree(ofID id: String) -> JSONTree {
        guard let number = Int(id), number >= 0, number < 1 << 53, String(number) == id else {
            return .string(id)
        }
        return .integer(number)
    }

    private static func id(_ tree: JSONTree?) -> String? {
        tree.flatMap { $0.stringValue ?? $0.integerValue.map { String($0) } }
    }

    // MARK: What the server says

    mutating func receive(_ text: [UInt8]) -> [DialectStep] {
        guard let frame = JSONTree.frame(text, valueLimit: Self.valueLimit),
            let type = frame["type"]?.stringValue,
            let data = frame["data"]
        else { return .malformed }
        switch type {
        case "emptyChatCreated":
            return self.created(data)
        case "chatJoined":
            return self.joined(data)
        case "chatMessages":
            return self.receivedMessages(
                (data.elements ?? []).compactMap { ChatMessage(chats: $0) })
        case "messageCreated":
            guard self.isThisChat(data["chat"]), let message = ChatMessage(chats: data) else {
                return []
            }
            if let localID = message.localID, self.lineInFlight?.line.localID == localID {
                self.lineInFlight = nil
            }
            return [.event(.message(message))]
        case "messagesRead":
            guard self.isThisChat(data["chat"]), Self.id(data["user"]?["id"]) != self.ownUser,
                let id = data["last_read_message"]?.messageID
            else {
                return []
            }
            return [.event(.readThrough(id))]
        case "chatDetails":
            guard self.isThisChat(data["id"]) else { return [] }
            return [
                .event(
                    .members(
                        (data["participants"]?.elements ?? []).compactMap {
                            $0["username"]?.stringValue
                        }))
            ]
        case "error":
            return [self.serverError(data)]
        default:
            return []
        }
    }

    private func isThisChat(_ id: JSONTree?) -> Bool {
        self.chat != nil && Self.id(id) == self.chat
    }

    private mutating func created(_ data: JSONTree) -> [DialectStep] {
        guard self.chat == nil, let id = Self.id(data["id"]) else { return [] }
        self.chat = id
        let words =
            "Chat \(SafeText.line(id, limit: 128)) is made; others come in with --conversation \(SafeText.line(id, limit: 128))."
        return [.event(.notice(words)), .send(self.joinFrame(id))]
    }

    private mutating func joined(_ data: JSONTree) -> [DialectStep] {
        guard self.isThisChat(data["chat"]), let user = Self.id(data["user"]?["id"]) else {
            return []
        }
        guard self.isJoining, data["last_read_message"] != nil else {
            guard user != self.ownUser, let name = data["user"]?["username"]?.stringValue else {
                return []
            }
            return [.event(.notice("\(SafeText.line(name, limit: 128)) has joined."))]
        }
        self.isJoining = false
        self.ownUser = user
        self.ownName = data["user"]?["username"]?.stringValue
        let limit = self.joinOptions?.after == nil ? self.joinOptions?.limit ?? 1 : Self.missedLimit
        return [.event(.identified(user)), .send(self.messagesRequest(last: limit))]
    }

    private mutating func messagesRequest(last limit: Int) -> String {
        self.pendingRequests.append(.join(last: limit))
        return Self.frame(
            "getChatMessages",
            ["chatId": Self.tree(ofID: self.chat ?? ""), "last": .integer(limit)])
    }

    private mutating func receivedMessages(_ messages: [ChatMessage]) -> [DialectStep] {
        guard !self.pendingRequests.isEmpty else { return [] }
        switch self.pendingRequests.removeFirst() {
        case .history: return [.event(.history(messages))]
        case .join(let last):
            guard let after = self.joinOptions?.after else { return [.event(.joined(messages))] }
            if let first = messages.first, first.id > after + 1, messages.count == last,
                last < Self.allMessagesLimit
            {
                return [.send(self.messagesRequest(last: Self.allMessagesLimit))]
            }
            var missed = messages.filter { $0.id > after }
            self.matchLineInFlight(among: &missed)
            return [.event(.joined(missed))]
        }
    }

    /// A stranger's line cannot be sent again under its id, which was another stranger's: it is looked for among what was missed.
    private mutating func matchLineInFlight(among missed: inout [ChatMessage]) {
        guard let underWay = self.lineInFlight, underWay.sender != self.ownUser,
            let place = missed.firstIndex(where: {
                $0.sender == underWay.sender && $0.content == underWay.line.text
            })
        else { return }
        missed[place].localID = underWay.line.localID
        self.lineInFlight = nil
    }

    private mutating func serverError(_ data: JSONTree) -> DialectStep {
        let sentence = data.errorMessage("message")
        let request: ClientRequestKind?
        switch data["request"]?.stringValue {
        case "newMessage":
            let localID = data["local_id"]?.stringValue ?? self.lineInFlight?.line.localID
            return .event(
                .sendFailed(localID: localID, reason: sentence, retryAfter: data.retryAfter))
        case "joinChat", "createEmptyChat":
            self.isJoining = false
            request = .join
        case "getChatMessages":
            switch self.pendingRequests.isEmpty ? .history : self.pendingRequests.removeFirst() {
            case .join: request = .join
            case .history: request = .history
            }
        case "getChatDetails": request = .members
        case "markRead": request = .ephemeral
        default: request = nil
        }
        return .event(.requestFailed(request, reason: sentence, retryAfter: data.retryAfter))
    }
}
