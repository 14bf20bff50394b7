import Bytes
import JSON

/// The Pets protocol: the client fetches missed messages from the history, and a message sent twice
/// under one `local_id` is stored once.
struct PetsClient: ClientDialect {
    private let baseURL: WebSocketURL
    private let conversation: String
    /// The user id that the server has assigned. An anonymous user has another one on every
    /// connection.
    private var ownUser: String?
    /// Unanswered `history` requests, in the order of their answers.
    private var pendingRequests: [HistoryRequest] = []
    /// The missed messages received so far.
    private var missed: [ChatMessage] = []
    /// The unanswered line and its sender.
    private var lineInFlight: (line: PendingMessage, sender: String?)?

    private enum HistoryRequest {
        case join(isFirst: Bool)
        case page(PartialPage)

        var requestKind: ClientRequestKind {
            switch self {
            case .join: .join
            case .page: .page
            }
        }
    }

    /// The server's limit for one `history` request.
    private static let pageLimit = 100

    init(_ baseURL: WebSocketURL, in conversation: String) {
        self.baseURL = baseURL
        self.conversation = conversation
    }

    var dialect: ChatDialect { .pets }
    var capabilities: Set<ClientCapability> { [.history, .olderPages, .gapPages] }

    func url(after: Int?, rev: Int?) -> WebSocketURL { self.baseURL }

    mutating func connectionOpened() {
        self.pendingRequests = []
        self.missed = []
    }

    mutating func join(_ options: JoinOptions) -> [DialectStep] {
        self.missed = []
        self.pendingRequests.append(.join(isFirst: options.after == nil))
        if let after = options.after {
            return [.send(self.historyFrame(.after(after, Self.pageLimit)))]
        }
        return [.send(self.historyFrame(.newest(options.limit)))]
    }

    mutating func frames(for command: ClientCommand) -> [String] {
        switch command {
        case .send(let line):
            self.lineInFlight = (line, self.ownUser)
            return [
                self.frame(
                    "message", ["content": .string(line.text), "local_id": .string(line.localID)])
            ]
        case .page(let query):
            self.pendingRequests.append(.page(PartialPage(query)))
            return [self.historyFrame(query)]
        case .edit, .delete, .members, .typing, .read, .react, .pin, .unpin, .pins, .thread,
            .search:
            return []
        }
    }

    mutating func renew(token: String) -> [String] {
        [(["event": "authenticate", "data": ["token": .string(token)]] as JSONTree).text]
    }

    private func historyFrame(_ query: PageQuery) -> String {
        switch query {
        case .newest(let limit): self.frame("history", ["limit": .integer(limit)])
        case .before(let id, let limit):
            self.frame("history", ["before": .string(String(id)), "limit": .integer(limit)])
        case .after(let id, let limit):
            self.frame("history", ["after": .string(String(id)), "limit": .integer(limit)])
        }
    }

    private func frame(_ event: String, _ fields: KeyValuePairs<String, JSONTree>) -> String {
        let data =
            [("conversation_id", .string(self.conversation))] + fields.map { ($0.key, $0.value) }
        return
            ([
                "event": .string(event),
                "data": .object(data.map { JSONTree.ObjectMember($0.0, $0.1) }),
            ] as JSONTree).text
    }

    // MARK: Frames of the server

    mutating func receive(_ text: [UInt8]) -> [DialectStep] {
        guard let frame = JSONTree.frame(text), let event = frame["event"]?.stringValue,
            let data = frame["data"]
        else { return .malformed }
        switch event {
        case "connected", "authenticated":
            self.ownUser = data["user_id"]?.stringValue
            return self.ownUser.map { [.event(.identified($0))] } ?? []
        case "history":
            guard self.isThisConversation(data) else { return [] }
            return self.receivedMessages(
                (data["messages"]?.elements ?? []).compactMap(ChatMessage.init(pets:)), data)
        case "message":
            guard self.isThisConversation(data), let message = ChatMessage(pets: data) else {
                return []
            }
            return [.event(.message(message))]
        case "message_sent":
            guard self.isThisConversation(data), let localID = data["local_id"]?.stringValue,
                let id = data["message_id"]?.messageID
            else { return [] }
            if self.lineInFlight?.line.localID == localID { self.lineInFlight = nil }
            return [
                .event(
                    .stored(
                        localID: localID, id: id,
                        at: data["timestamp"]?.stringValue.flatMap { Timestamp(rfc3339: $0) }))
            ]
        case "broadcast":
            guard let sender = data["sender_id"]?.stringValue,
                let content = data["content"]?.stringValue
            else { return [] }
            return [
                .event(
                    .notice(
                        "\(SafeText.line(sender, limit: 128)) broadcasts: \(SafeText.line(content))"
                    ))
            ]
        case "error":
            return [self.serverError(data)]
        default:
            return []
        }
    }

    private func isThisConversation(_ data: JSONTree) -> Bool {
        data["conversation_id"]?.stringValue == self.conversation
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
            return [.send(self.historyFrame(rest))]
        case .join(isFirst: true): return [.event(.joined(.newest(messages)))]
        case .join(isFirst: false): break
        }
        self.missed += messages
        if let next = answer["next_after_id"]?.messageID {
            self.pendingRequests.append(.join(isFirst: false))
            return [.send(self.historyFrame(.after(next, Self.pageLimit)))]
        }
        self.matchLineInFlight()
        defer { self.missed = [] }
        return [.event(.joined(.missed(self.missed)))]
    }

    /// Looks for the unanswered line of an anonymous user among the missed messages. It cannot be
    /// sent again under its id, because the user now has another id.
    private mutating func matchLineInFlight() {
        guard let unanswered = self.lineInFlight, unanswered.sender != self.ownUser,
            let index = self.missed.firstIndex(where: {
                $0.author == unanswered.sender && $0.text == unanswered.line.text
            })
        else { return }
        self.missed[index].localID = unanswered.line.localID
        self.missed[index].isOwn = true
        self.lineInFlight = nil
    }

    private mutating func serverError(_ data: JSONTree) -> DialectStep {
        let reason = data.errorMessage("message")
        switch data["event"]?.stringValue {
        case "message":
            return .event(
                .sendFailed(
                    localID: self.lineInFlight?.line.localID, reason: reason,
                    retryAfter: data.retryAfter))
        case "history":
            let request =
                self.pendingRequests.isEmpty
                ? .page : self.pendingRequests.removeFirst().requestKind
            return .event(.requestFailed(request, reason: reason, retryAfter: data.retryAfter))
        default:
            return .event(.requestFailed(nil, reason: reason, retryAfter: data.retryAfter))
        }
    }
}

extension ChatMessage {
    fileprivate init?(pets tree: JSONTree) {
        guard let id = tree["message_id"]?.messageID, let sender = tree["sender_id"]?.stringValue
        else { return nil }
        self.init(id: id, author: sender, text: tree["content"]?.stringValue ?? "")
        self.time = tree["timestamp"]?.stringValue.flatMap { Timestamp(rfc3339: $0) }
        self.isEdited = tree["is_edited"]?.boolValue ?? false
        if tree["is_deleted"]?.boolValue == true { self.state = .deleted }
        self.readFeatures(tree)
    }
}
