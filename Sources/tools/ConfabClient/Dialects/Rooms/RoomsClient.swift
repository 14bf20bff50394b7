import Bytes
import JSON

/// The Rooms protocol: Socket.IO over a WebSocket, without polling first.
///
/// If the server supports it, a new connection recovers the previous one and the server sends the
/// missed messages. Otherwise the client joins again, and the missed messages are among the newest
/// messages of the room's state.
struct RoomsClient: ClientDialect {
    /// The user's id and name.
    struct LocalUser: Sendable, Equatable {
        let user: String
        let name: String
    }

    private let baseURL: WebSocketURL
    private let room: String
    private let localUser: LocalUser
    private var token: String?
    private var joinOptions = JoinOptions(after: nil, limit: 1)
    private var state = State.awaitingOpen
    /// The ids that a later connection needs to recover this one.
    private var recovery: (pid: String, offset: String?)?
    private var nextAckID = 0
    private var pendingAcks: [Int: PendingAck] = [:]

    /// The most missed messages that are fetched; a client that missed more shows the newest.
    private static let missedLimit = 10_000

    private enum State {
        /// Nothing has been received on this connection.
        case awaitingOpen
        /// CONNECT was sent or rejected.
        case connecting
        case connected
        /// In the room.
        case joined
    }

    private enum PendingAck: Equatable {
        case join
        /// Requests this many of the newest messages. The answer to `join_room` contains them.
        case page(Int)
        /// Requests messages before or after one, or those of a thread.
        case fetch(PartialPage)
        /// Requests the messages between the last one received before, and those of the state.
        case missed(PartialPage, state: [ChatMessage])
        case send(localID: String)
        case react(Int)
        case pin, unpin, search
        /// Requests the pinned messages after these.
        case pins([ChatMessage])

        /// The kind that an error of its answer concerns.
        var errorKind: ClientRequestKind? {
            switch self {
            case .join, .missed: .join
            case .page, .fetch: .page
            case .react: .react
            case .pin: .pin
            case .unpin: .unpin
            case .pins: .pins
            case .search: .search
            case .send: nil
            }
        }
    }

    init(_ baseURL: WebSocketURL, in room: String, as localUser: LocalUser, token: String?) {
        self.baseURL = baseURL
        self.room = room
        self.localUser = localUser
        self.token = token
    }

    var dialect: ChatDialect { .rooms }
    var capabilities: Set<ClientCapability> { [.presence, .typing, .history, .messageFeatures] }
    /// The token is in the CONNECT packet.
    var sendsTokenInHeader: Bool { false }
    var ownName: String? { self.localUser.name }
    /// Reports the departure, so that the server does not wait for a reconnect.
    var closingFrames: [String] {
        self.state == .connected || self.state == .joined ? [RoomsPacket.disconnect] : []
    }

    func url(after: Int?, rev: Int?) -> WebSocketURL { self.baseURL }

    mutating func connectionOpened() {
        self.state = .awaitingOpen
        self.pendingAcks = [:]
    }

    mutating func join(_ options: JoinOptions) -> [DialectStep] {
        self.joinOptions = options
        switch self.state {
        // The server sends the first packet.
        case .awaitingOpen: return []
        case .connecting: return [.send(self.connectFrame())]
        case .connected, .joined: return [.send(self.joinFrame())]
        }
    }

    mutating func frames(for command: ClientCommand) -> [String] {
        switch command {
        case .send(let line):
            return [
                self.emit(
                    "send_message",
                    .object(
                        [
                            .init("room_id", .string(self.room)),
                            .init("content", .string(line.text)),
                            .init("local_id", .string(line.localID)),
                        ] + line.featureFields),
                    .send(localID: line.localID))
            ]
        case .typing(let isTyping):
            return [
                RoomsPacket.emit(
                    "typing", ["room_id": .string(self.room), "is_typing": .bool(isTyping)],
                    ackID: nil)
            ]
        case .page(.newest(let limit)): return [self.joinFrame(.page(limit))]
        case .page(let query): return [self.fetchFrame(query, .fetch(PartialPage(query)))]
        case .thread(let root, let query):
            return [self.fetchFrame(query, .fetch(PartialPage(query, thread: root)))]
        case .react(let id, let emoji, let isOn):
            return [
                self.request(
                    "react",
                    [
                        .init("message_id", .string(String(id))), .init("emoji", .string(emoji)),
                        .init("on", .bool(isOn)),
                    ], .react(id))
            ]
        case .pin(let id):
            return [self.request("pin", [.init("message_id", .string(String(id)))], .pin)]
        case .unpin(let id):
            return [self.request("unpin", [.init("message_id", .string(String(id)))], .unpin)]
        case .pins: return [self.request("pins", [], .pins([]))]
        case .search(let text, let before, let limit):
            var fields: [JSONTree.ObjectMember] = [
                .init("text", .string(text)), .init("limit", .integer(limit)),
            ]
            if let before { fields.append(.init("before_id", .string(String(before)))) }
            return [self.request("search", fields, .search)]
        case .edit, .delete, .members, .read:
            return []
        }
    }

    mutating func renew(token: String) -> [String] {
        self.token = token
        guard self.state == .connected || self.state == .joined else { return [] }
        return [RoomsPacket.emit("authenticate", ["token": .string(token)], ackID: nil)]
    }

    private mutating func connectFrame() -> String {
        self.state = .connecting
        var auth: [JSONTree.ObjectMember] = []
        if let token = self.token { auth.append(.init("token", .string(token))) }
        if let recovery = self.recovery, let offset = recovery.offset, self.joinOptions.after != nil
        {
            auth += [.init("pid", .string(recovery.pid)), .init("offset", .string(offset))]
        }
        return RoomsPacket.connect(auth)
    }

    private mutating func joinFrame(_ ack: PendingAck = .join) -> String {
        self.emit(
            "join_room",
            [
                "room_id": .string(self.room), "user_id": .string(self.localUser.user),
                "username": .string(self.localUser.name),
            ], ack)
    }

    private mutating func fetchFrame(_ query: PageQuery, _ ack: PendingAck) -> String {
        var fields: [JSONTree.ObjectMember] = []
        if case .fetch(let page) = ack, let thread = page.thread {
            fields.append(.init("thread", .string(String(thread))))
        }
        switch query {
        case .newest(let limit): fields.append(.init("limit", .integer(limit)))
        case .before(let id, let limit):
            fields += [.init("before_id", .string(String(id))), .init("limit", .integer(limit))]
        case .after(let id, let limit):
            fields += [.init("after_id", .string(String(id))), .init("limit", .integer(limit))]
        }
        return self.request("fetch_messages", fields, ack)
    }

    private mutating func request(
        _ event: String, _ fields: [JSONTree.ObjectMember], _ ack: PendingAck
    ) -> String {
        self.emit(event, .object([.init("room_id", .string(self.room))] + fields), ack)
    }

    private mutating func emit(_ event: String, _ argument: JSONTree, _ ack: PendingAck)
        -> String
    {
        let id = self.nextAckID
        self.nextAckID += 1
        self.pendingAcks[id] = ack
        return RoomsPacket.emit(event, argument, ackID: id)
    }

    // MARK: Frames of the server

    mutating func receive(_ text: [UInt8]) -> [DialectStep] {
        switch RoomsPacket(text) {
        case .open: return [.send(self.connectFrame())]
        case .ping(let data): return [.send(RoomsPacket.pong(data))]
        case .connected(let pid): return self.connected(pid)
        case .refused(let reason):
            return [.event(.requestFailed(.join, reason: reason, retryAfter: nil))]
        case .disconnected:
            self.state = .connecting
            return [.event(.ended("The server has ended the session."))]
        case .event(let name, let argument, let offset):
            // An offset from before the join would recover a connection that is not in the room.
            if self.state == .joined, let offset { self.recovery?.offset = offset }
            return self.receiveEvent(name, argument)
        case .acknowledged(let id, let answer): return self.acknowledged(id, answer)
        case .other: return []
        case nil: return .malformed
        }
    }

    private mutating func connected(_ pid: String?) -> [DialectStep] {
        let isRecovered =
            pid != nil && pid == self.recovery?.pid && self.recovery?.offset != nil
            && self.joinOptions.after != nil
        self.state = isRecovered ? .joined : .connected
        // The missed messages follow.
        if isRecovered { return [.event(.joined(.replaying(head: nil)))] }
        self.recovery = pid.map { ($0, nil) }
        return [.send(self.joinFrame())]
    }

    private mutating func receiveEvent(_ name: String, _ argument: JSONTree?) -> [DialectStep] {
        guard let data = argument, data.members != nil else { return [] }
        switch name {
        case "conversation_state":
            // After the join the event repeats the answer.
            guard self.state != .joined, data["conversation"]?["room_id"]?.stringValue == self.room
            else { return [] }
            return self.joined(data)
        case "error":
            return [self.serverError(data)]
        default:
            guard data["room_id"]?.stringValue == self.room else { return [] }
            return self.roomEvent(name, data).map { [.event($0)] } ?? []
        }
    }

    private func roomEvent(_ name: String, _ data: JSONTree) -> ServerEvent? {
        switch name {
        case "new_message": return ChatMessage(rooms: data).map { .message($0) }
        case "message.edited": return ChatMessage(rooms: data).map { .edited($0) }
        case "message.deleted": return ChatMessage(rooms: data).map { .deleted($0) }
        case "reactions": return data.reactionsEvent
        case "pinned", "unpinned":
            guard var message = data["message"].flatMap(ChatMessage.init(rooms:)),
                let user = data["by"]?.stringValue
            else { return nil }
            message.rev = data["rev"]?.integerValue ?? 0
            return name == "pinned" ? .pinned(message, by: user) : .unpinned(message, by: user)
        case "user_joined", "user_left":
            guard let user = data.roomsUser() else { return nil }
            return .presence(
                user: user, name: data["username"]?.stringValue ?? user,
                isOnline: name == "user_joined")
        case "user_typing":
            guard let user = data.roomsUser(), let isTyping = data["is_typing"]?.boolValue else {
                return nil
            }
            return .typing(
                user: user, name: data["username"]?.stringValue ?? user, isTyping: isTyping)
        case "presence": return data["online"]?.integerValue.map { .onlineCount(online: $0) }
        case "conversation_ended":
            return .conversationEnded(by: data.roomsUser("ended_by"))
        case "conversation_updated": return data.updatedEvent(by: data.roomsUser("by"))
        default: return nil
        }
    }

    private mutating func acknowledged(_ id: Int, _ answer: JSONTree) -> [DialectStep] {
        guard let ack = self.pendingAcks.removeValue(forKey: id) else { return [] }
        let isDone = answer["ok"]?.boolValue == true
        let reason = answer.errorMessage("error")
        switch ack {
        case .join where isDone:
            // The answer contains the state as well.
            return answer["messages"] == nil ? [] : self.joined(answer)
        case .page(let limit) where isDone:
            var page = PartialPage(.newest(limit))
            guard let rest = page.add(Self.messages(of: answer).suffix(limit), of: answer) else {
                return [.event(.page(page.messages))]
            }
            return [.send(self.fetchFrame(rest, .fetch(page)))]
        case .fetch(var page) where isDone:
            guard let rest = page.add(Self.sortedMessages(of: answer), of: answer) else {
                return [.event(.page(page.messages))]
            }
            return [.send(self.fetchFrame(rest, .fetch(page)))]
        case .missed(var page, let state) where isDone:
            let part = Self.sortedMessages(of: answer)
            if let rest = page.add(part, of: answer) {
                return [.send(self.missedFrame(rest, page, state))]
            }
            return [.event(.joined(.missed(page.messages + state)))]
        case .react(let message) where isDone:
            return [.event(.reacted(id: message, rev: answer["rev"]?.integerValue ?? 0))]
        // The event completes it.
        case .pin where isDone, .unpin where isDone: return []
        case .pins(var pins) where isDone:
            let part = Self.messages(of: answer)
            pins += part
            guard let cursor = answer["next_cursor"]?.stringValue, !part.isEmpty else {
                return [.event(.pins(pins))]
            }
            return [
                .send(self.request("pins", [.init("cursor", .string(cursor))], .pins(pins)))
            ]
        case .search where isDone:
            return [.event(.found(answer.found(Self.messages(of: answer))))]
        case .send(let localID) where isDone:
            let time = answer["timestamp"]?.stringValue.flatMap { Timestamp(rfc3339: $0) }
            return [.event(.stored(localID: localID, id: answer["id"]?.messageID, at: time))]
        case .send(let localID):
            return [
                .event(
                    .sendFailed(localID: localID, reason: reason, retryAfter: answer.retryAfter))
            ]
        default:
            return [
                .event(
                    .requestFailed(ack.errorKind, reason: reason, retryAfter: answer.retryAfter))
            ]
        }
    }

    /// The server sends the state as an event and in the answer to `join_room`; the session uses
    /// whichever is first.
    private mutating func joined(_ state: JSONTree) -> [DialectStep] {
        self.state = .joined
        var steps: [DialectStep] = []
        for participant in state["participants"]?.elements ?? [] {
            guard participant["online"]?.boolValue == true, let user = participant.roomsUser()
            else { continue }
            steps.append(
                .event(
                    .presence(
                        user: user, name: participant["username"]?.stringValue ?? user,
                        isOnline: true)))
        }
        let messages = Self.messages(of: state)
        if let after = self.joinOptions.after, let first = messages.first?.id, first > after + 1,
            let next = state["next_before_id"]?.messageID
        {
            let query = PageQuery.before(next, min(first - after - 1, Self.missedLimit))
            steps.append(.send(self.missedFrame(query, PartialPage(query), messages)))
        } else {
            let newest = messages.suffix(self.joinOptions.limit)
            let isFirst = self.joinOptions.after == nil
            steps.append(.event(.joined(isFirst ? .newest(Array(newest)) : .missed(messages))))
        }
        if state["conversation"]?["is_active"]?.boolValue == false {
            steps.append(.event(.conversationEnded(by: nil)))
        }
        return steps
    }

    /// Requests the next part of the messages before those of the state.
    private mutating func missedFrame(
        _ query: PageQuery, _ page: PartialPage, _ state: [ChatMessage]
    ) -> String {
        var query = query
        // The server's limit for one request.
        if case .before(let id, let limit) = query { query = .before(id, min(limit, 100)) }
        return self.fetchFrame(query, .missed(page, state: state))
    }

    private static func messages(of state: JSONTree) -> [ChatMessage] {
        (state["messages"]?.elements ?? []).compactMap { ChatMessage(rooms: $0) }
    }

    private static func sortedMessages(of answer: JSONTree) -> [ChatMessage] {
        self.messages(of: answer).sorted { $0.id < $1.id }
    }

    private func serverError(_ data: JSONTree) -> DialectStep {
        if let head = data.resetHead { return .event(.reset(head: head)) }
        let reason = data.errorMessage("message")
        // Events with an acknowledgement receive their errors there.
        let request: ClientRequestKind? = data["event"]?.stringValue == "typing" ? .ephemeral : nil
        return .event(.requestFailed(request, reason: reason, retryAfter: data.retryAfter))
    }
}
