import JSON

/// The Chats protocol: users and messages have numbers, and a message sent twice under one
/// `local_id` is stored once.
struct ChatsClient: ClientDialect {
    private let baseURL: WebSocketURL
    /// Nil until the chat is created.
    private var chat: String?
    private var joinOptions: JoinOptions?
    /// Whether `joinChat` is unanswered.
    private var isJoining = false
    private var ownUser: String?
    private(set) var ownName: String?
    /// Unanswered `getChatMessages` requests, in the order of their answers.
    private var pendingRequests: [MessagesRequest] = []
    /// The unanswered line and its sender. An anonymous user without a name has another id on every
    /// connection.
    private var lineInFlight: (line: PendingMessage, sender: String?)?

    private enum MessagesRequest {
        case join(PartialPage)
        case page(PartialPage)
    }

    /// How many missed messages are requested at first. If these do not reach back far enough, the
    /// client requests all.
    private static let missedLimit = 100
    private static let allMessagesLimit = 10_000
    /// Enough JSON values for ten thousand messages.
    private static let valueLimit = 1 << 18

    init(_ index: WebSocketURL, in chat: String?) {
        self.baseURL = index
        self.chat = chat
    }

    var dialect: ChatDialect { .chats }
    var capabilities: Set<ClientCapability> { [.history, .members, .receipts] }

    func url(after: Int?, rev: Int?) -> WebSocketURL { self.baseURL }

    mutating func connectionOpened() {
        self.pendingRequests = []
        self.isJoining = false
    }

    mutating func join(_ options: JoinOptions) -> [DialectStep] {
        self.joinOptions = options
        return [
            .send(self.chat.map { self.joinFrame($0) } ?? #"{"type":"createEmptyChat","data":{}}"#)
        ]
    }

    /// Sends a `last_read_message`. The answer repeats it, while broadcasts about other users have
    /// none. Without it the server would count everything as read.
    private mutating func joinFrame(_ chat: String) -> String {
        self.isJoining = true
        return Self.frame("joinChat", ["chat": Self.tree(ofID: chat), "last_read_message": 0])
    }

    mutating func frames(for command: ClientCommand) -> [String] {
        guard let chat = self.chat.map(Self.tree(ofID:)) else { return [] }
        switch command {
        case .send(let line):
            self.lineInFlight = (line, self.ownUser)
            return [
                Self.frame(
                    "newMessage",
                    ["chat": chat, "text": .string(line.text), "local_id": .string(line.localID)])
            ]
        case .page(let query):
            // The protocol has only the newest page.
            guard case .newest(let limit) = query else { return [] }
            self.pendingRequests.append(.page(PartialPage(query)))
            return [Self.frame("getChatMessages", ["chatId": chat, "last": .integer(limit)])]
        case .members: return [Self.frame("getChatDetails", ["chatId": chat])]
        case .read(let id):
            return [Self.frame("markRead", ["chat": chat, "last_read_message": .integer(id)])]
        case .edit, .delete, .typing, .react, .pin, .unpin, .pins, .thread, .search: return []
        }
    }

    mutating func renew(token: String) -> [String] {
        [Self.frame("authenticate", ["token": .string(token)])]
    }

    private static func frame(_ type: String, _ data: JSONTree) -> String {
        (["type": .string(type), "data": data] as JSONTree).text
    }

    /// An integer where possible, as the protocol specifies; a string for the ids of other
    /// protocols.
    private static func tree(ofID id: String) -> JSONTree {
        guard let number = Int(id), number >= 0, number < 1 << 53, String(number) == id else {
            return .string(id)
        }
        return .integer(number)
    }

    private static func id(_ tree: JSONTree?) -> String? {
        tree.flatMap { $0.stringValue ?? $0.integerValue.map { String($0) } }
    }

    // MARK: Frames of the server

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
                (data.elements ?? []).compactMap { ChatMessage(chats: $0) }, frame)
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
        let notice =
            """
            Chat \(SafeText.line(id, limit: 128)) was created; others join with --conversation \
            \(SafeText.line(id, limit: 128)).
            """
        return [.event(.notice(notice)), .send(self.joinFrame(id))]
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
        let query = PageQuery.newest(limit)
        self.pendingRequests.append(.join(PartialPage(query)))
        return self.messagesFrame(query)
    }

    private func messagesFrame(_ query: PageQuery) -> String {
        let chat = Self.tree(ofID: self.chat ?? "")
        switch query {
        case .newest(let limit), .after(_, let limit):
            return Self.frame("getChatMessages", ["chatId": chat, "last": .integer(limit)])
        case .before(let id, let limit):
            return Self.frame(
                "getChatMessages",
                ["chatId": chat, "last": .integer(limit), "before_id": .integer(id)])
        }
    }

    private mutating func receivedMessages(_ messages: [ChatMessage], _ answer: JSONTree)
        -> [DialectStep]
    {
        guard !self.pendingRequests.isEmpty else { return [] }
        switch self.pendingRequests.removeFirst() {
        case .page(var page):
            guard let rest = page.add(messages, of: answer) else {
                return [.event(.page(page.messages))]
            }
            self.pendingRequests.append(.page(page))
            return [.send(self.messagesFrame(rest))]
        case .join(var page):
            let rest = page.add(messages, of: answer)
            guard let after = self.joinOptions?.after else {
                // Earlier messages can be requested later.
                return [.event(.joined(.newest(page.messages)))]
            }
            if let first = page.messages.first, first.id > after + 1 {
                if let rest {
                    self.pendingRequests.append(.join(page))
                    return [.send(self.messagesFrame(rest))]
                }
                if page.messages.count == Self.missedLimit {
                    return [.send(self.messagesRequest(last: Self.allMessagesLimit))]
                }
            }
            var missed = page.messages.filter { $0.id > after }
            self.matchLineInFlight(among: &missed)
            return [.event(.joined(.missed(missed)))]
        }
    }

    /// Looks for the unanswered line of an anonymous user among the missed messages. It cannot be
    /// sent again under its id, because the user now has another id.
    private mutating func matchLineInFlight(among missed: inout [ChatMessage]) {
        guard let unanswered = self.lineInFlight, unanswered.sender != self.ownUser,
            let index = missed.firstIndex(where: {
                $0.author == unanswered.sender && $0.text == unanswered.line.text
            })
        else { return }
        missed[index].localID = unanswered.line.localID
        missed[index].isOwn = true
        self.lineInFlight = nil
    }

    private mutating func serverError(_ data: JSONTree) -> DialectStep {
        let reason = data.errorMessage("message")
        let request: ClientRequestKind?
        switch data["request"]?.stringValue {
        case "newMessage":
            let localID = data["local_id"]?.stringValue ?? self.lineInFlight?.line.localID
            return .event(
                .sendFailed(localID: localID, reason: reason, retryAfter: data.retryAfter))
        case "joinChat", "createEmptyChat":
            self.isJoining = false
            request = .join
        case "getChatMessages":
            switch self.pendingRequests.isEmpty ? nil : self.pendingRequests.removeFirst() {
            case .join: request = .join
            case .page, nil: request = .page
            }
        case "getChatDetails": request = .members
        case "markRead", "authenticate": request = .ephemeral
        default: request = nil
        }
        return .event(.requestFailed(request, reason: reason, retryAfter: data.retryAfter))
    }
}
