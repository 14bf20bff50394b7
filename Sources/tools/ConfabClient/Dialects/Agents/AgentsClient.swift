import Bytes
import JSON

/// The Agents protocol: a channel that resumes after a message, an inbox, and an acknowledgement
/// for each line.
struct AgentsClient: ClientDialect {
    private let baseURL: WebSocketURL
    private let channel: String?
    /// The user's own agent id; nil when the token cannot be read.
    private let ownAgent: String?
    /// Whether the `status_query` that completes the join is unanswered.
    private var isJoining = false
    /// Whether the server replays the messages after the last one that was received.
    private var isResuming = false
    /// When the client joined for the first time, by the server's clock.
    private var joinedAt: Timestamp?
    /// Messages up to this time are ignored on this connection.
    private var ignoredThrough: Timestamp?
    private var seenDirectMessages = SeenDirectMessages()

    /// - Parameters:
    ///   - baseURL: contains the channel, if there is one.
    ///   - channel: nil for an inbox only.
    init(_ baseURL: WebSocketURL, in channel: String?, as agent: String?) {
        self.baseURL = baseURL
        self.channel = channel
        self.ownAgent = agent
    }

    var dialect: ChatDialect { .agents }
    var capabilities: Set<ClientCapability> {
        self.channel == nil ? [.directMessages] : [.presence, .directMessages]
    }
    var replaysMissedMessages: Bool { true }
    var mustJoinBeforeSending: Bool { false }

    /// The protocol does not report the channel's newest message. A client that has received no
    /// message yet resumes from the beginning, and ignores what is older than its first join.
    func url(after: Int?, rev: Int?) -> WebSocketURL {
        if after != nil { return self.baseURL.resuming(after, rev) }
        return self.replaysFromStart ? self.baseURL.setting("after", to: "0") : self.baseURL
    }

    private var replaysFromStart: Bool {
        self.channel != nil && self.joinedAt != nil && self.baseURL.parameter("after") == nil
    }

    mutating func connectionOpened() {
        self.isJoining = false
        self.ignoredThrough = nil
    }

    mutating func join(_ options: JoinOptions) -> [DialectStep] {
        // An accepted connection has joined. Only a channel has a status query.
        guard self.channel != nil else { return [.event(.joined(.withoutHistory))] }
        self.isResuming = options.after != nil
        self.ignoredThrough = options.after == nil && self.replaysFromStart ? self.joinedAt : nil
        self.isJoining = true
        return [.send(#"{"type":"status_query"}"#)]
    }

    mutating func renew(token: String) -> [String] {
        [(["type": "authenticate", "token": .string(token)] as JSONTree).text]
    }

    mutating func frames(for command: ClientCommand) -> [String] {
        guard case .send(let line) = command else { return [] }
        var frame: [JSONTree.ObjectMember] = [
            .init("id", .string(line.localID)), .init("type", "message"),
        ]
        if let to = line.to { frame.append(.init("to", .string(to))) }
        frame.append(.init("content", .string(line.text)))
        return [JSONTree.object(frame).text]
    }

    // MARK: Frames of the server

    mutating func receive(_ text: [UInt8]) -> [DialectStep] {
        guard let frame = JSONTree.frame(text), let type = frame["type"]?.stringValue else {
            return .malformed
        }
        switch type {
        case "message", "message.edited", "message.deleted":
            return self.receive(message: frame, type).map { [.event($0)] } ?? []
        case "ACK":
            guard let id = frame["message_id"]?.stringValue else { return [] }
            return [
                .event(
                    .stored(localID: id, id: frame["seq"]?.messageID, at: Self.timestamp(of: frame))
                )
            ]
        case "status":
            return Self.presence(frame).map { [.event($0)] } ?? []
        case "presence":
            return frame["online"]?.integerValue.map { [.event(.onlineCount(online: $0))] } ?? []
        case "status_list":
            return self.joined(frame)
        case "ERROR":
            return self.serverError(frame).map { [.event($0)] } ?? []
        default:
            return []
        }
    }

    private mutating func receive(message frame: JSONTree, _ type: String) -> ServerEvent? {
        guard let sender = frame["agent_id"]?.stringValue else { return nil }
        var message = ChatMessage(
            id: 0, author: sender, text: frame["content"]?.stringValue ?? "")
        message.time = Self.timestamp(of: frame)
        if let to = frame["to"]?.stringValue {
            guard
                self.seenDirectMessages.isNew(
                    from: sender, frame["id"]?.stringValue, frame["timestamp"]?.stringValue)
            else { return nil }
            return .direct(message, to: to)
        }
        guard let id = frame["seq"]?.messageID, frame["channel_id"]?.stringValue == self.channel
        else { return nil }
        message.id = id
        message.rev = frame["rev"]?.integerValue ?? 0
        message.isEdited = frame["is_edited"]?.boolValue ?? false
        message.readFeatures(frame)
        if frame["is_deleted"]?.boolValue == true { message.state = .deleted }
        if type == "message.edited" { return .edited(message) }
        if type == "message.deleted" { return .deleted(message) }
        if let floor = self.ignoredThrough, let time = message.time, time <= floor {
            return nil
        }
        if sender == self.ownAgent { message.localID = frame["id"]?.stringValue }
        return .message(message)
    }

    private static func timestamp(of frame: JSONTree) -> Timestamp? {
        frame["timestamp"]?.stringValue.flatMap { Timestamp(rfc3339: $0) }
    }

    private static func presence(_ tree: JSONTree) -> ServerEvent? {
        guard let agent = tree["agent_id"]?.stringValue, let status = tree["status"]?.stringValue
        else { return nil }
        return .presence(user: agent, name: agent, isOnline: status == "online")
    }

    private mutating func joined(_ frame: JSONTree) -> [DialectStep] {
        guard self.isJoining else { return [] }
        self.isJoining = false
        self.joinedAt = self.joinedAt ?? Self.timestamp(of: frame)
        let others = (frame["agents"]?.elements ?? []).filter {
            $0["status"]?.stringValue == "online"
        }.compactMap(Self.presence)
        return others.map { .event($0) }
            + [.event(.joined(self.isResuming ? .replaying(head: nil) : .withoutHistory))]
    }

    private mutating func serverError(_ frame: JSONTree) -> ServerEvent? {
        if let head = frame.resetHead { return .reset(head: head) }
        if let oldest = frame["oldest_id"]?.messageID {
            // A client that ignores old messages does not miss them.
            return self.ignoredThrough == nil ? .truncated(oldestID: oldest) : nil
        }
        let reason = frame.errorMessage("error")
        if let id = frame["message_id"]?.stringValue {
            return .sendFailed(localID: id, reason: reason, retryAfter: frame.retryAfter)
        }
        // An error without an id answers the status query if that can be retried. Otherwise it
        // concerns the connection.
        let isAnswer = self.isJoining && (frame.retryAfter != nil || reason.suggestsRetry)
        return .requestFailed(
            isAnswer ? .join : nil, reason: reason, retryAfter: frame.retryAfter)
    }
}
