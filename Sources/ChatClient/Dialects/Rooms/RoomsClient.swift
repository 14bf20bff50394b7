import Bytes
import JSON

/// The Rooms protocol: Socket.IO over a WebSocket, without polling first.
///
/// A connection that broke is recovered, where the server can do that: what was missed comes of itself. Else one joins anew, and what was
/// missed is among the newest messages of the room's state.
struct RoomsClient: ClientDialect {
    /// Who one is.
    struct Me: Sendable, Equatable {
        let user: String
        let name: String
    }

    private let place: WebSocketURL
    private let room: String
    private let me: Me
    private let token: String?
    private var entrance = Entrance(after: nil, limit: 1)
    private var standing = Standing.outside
    /// How a later connection goes on where this one was.
    private var recovery: (pid: String, offset: String?)?
    private var nextAckID = 0
    private var asked: [Int: Asked] = [:]

    private enum Standing {
        /// Nothing has been heard on this connection.
        case outside
        /// CONNECT is sent or refused.
        case connecting
        case connected
        /// In the room.
        case inside
    }

    private enum Asked: Equatable {
        case join
        /// The newest messages, so many: they stand in what a join is answered with.
        case history(Int)
        case send(localID: String)
    }

    init(_ place: WebSocketURL, in room: String, as me: Me, token: String?) {
        self.place = place
        self.room = room
        self.me = me
        self.token = token
    }

    var dialect: ChatDialect { .rooms }
    var abilities: Set<ClientAbility> { [.presence, .typing, .history] }
    /// It stands in the CONNECT packet.
    var sendsTokenField: Bool { false }
    var ownName: String? { self.me.name }
    /// Others need not wait for this client to come back.
    var goodbye: [String] { self.standing == .connected || self.standing == .inside ? [RoomsPacket.disconnect] : [] }

    func url(after: Int?) -> WebSocketURL { self.place }

    mutating func connected() {
        self.standing = .outside
        self.asked = [:]
    }

    mutating func enter(_ entrance: Entrance) -> [DialectStep] {
        self.entrance = entrance
        switch self.standing {
        // The server speaks first.
        case .outside: return []
        case .connecting: return [.send(self.connect())]
        case .connected, .inside: return [.send(self.join())]
        }
    }

    mutating func frames(for wish: ClientWish) -> [String] {
        switch wish {
        case .send(let line):
            return [
                self.emit(
                    "send_message",
                    ["room_id": .string(self.room), "content": .string(line.text), "local_id": .string(line.localID)],
                    .send(localID: line.localID))
            ]
        case .typing(let isTyping):
            return [RoomsPacket.emit("typing", ["room_id": .string(self.room), "is_typing": .bool(isTyping)], ackID: nil)]
        case .history(let limit):
            return [self.join(.history(limit))]
        case .edit, .delete, .members, .read:
            return []
        }
    }

    private mutating func connect() -> String {
        self.standing = .connecting
        var auth: [JSONTree.Member] = []
        if let token = self.token { auth.append(.init("token", .string(token))) }
        if let recovery = self.recovery, let offset = recovery.offset, self.entrance.after != nil {
            auth += [.init("pid", .string(recovery.pid)), .init("offset", .string(offset))]
        }
        return RoomsPacket.connect(auth)
    }

    private mutating func join(_ question: Asked = .join) -> String {
        self.emit(
            "join_room", ["room_id": .string(self.room), "user_id": .string(self.me.user), "username": .string(self.me.name)], question)
    }

    private mutating func emit(_ event: String, _ argument: JSONTree, _ question: Asked) -> String {
        let id = self.nextAckID
        self.nextAckID += 1
        self.asked[id] = question
        return RoomsPacket.emit(event, argument, ackID: id)
    }

    // MARK: What the server says

    mutating func heard(_ text: [UInt8]) -> [DialectStep] {
        switch RoomsPacket(text) {
        case .open: return [.send(self.connect())]
        case .ping(let data): return [.send(RoomsPacket.pong(data))]
        case .connected(let pid): return self.connected(pid)
        case .refused(let sentence):
            return [.event(.refused(.entrance, sentence: sentence, retryAfter: nil))]
        case .disconnected:
            self.standing = .connecting
            return [.event(.ended("The server has ended the session."))]
        case .event(let name, let argument, let offset):
            // One from before the room was entered would lead back to outside of it.
            if self.standing == .inside, let offset { self.recovery?.offset = offset }
            return self.heard(name, argument)
        case .acknowledged(let id, let answer): return self.answered(id, answer)
        case .other: return []
        case nil: return .nonsense
        }
    }

    private mutating func connected(_ pid: String?) -> [DialectStep] {
        let isRecovered = pid != nil && pid == self.recovery?.pid && self.recovery?.offset != nil && self.entrance.after != nil
        self.standing = isRecovered ? .inside : .connected
        // What was missed follows.
        if isRecovered { return [.event(.entered([]))] }
        self.recovery = pid.map { ($0, nil) }
        return [.send(self.join())]
    }

    private mutating func heard(_ name: String, _ argument: JSONTree?) -> [DialectStep] {
        guard let data = argument, data.members != nil else { return [] }
        switch name {
        case "conversation_state":
            // Once one is in, it says what an answer has said.
            guard self.standing != .inside, data["conversation"]?["room_id"]?.stringValue == self.room else { return [] }
            return self.entered(data)
        case "error":
            return [self.failed(data)]
        default:
            guard data["room_id"]?.stringValue == self.room else { return [] }
            return self.heardInRoom(name, data).map { [.event($0)] } ?? []
        }
    }

    private func heardInRoom(_ name: String, _ data: JSONTree) -> ServerEvent? {
        switch name {
        case "new_message": return ChatMessage(rooms: data).map { .message($0) }
        case "message.edited": return ChatMessage(rooms: data).map { .edited($0) }
        case "message.deleted": return ChatMessage(rooms: data).map { .deleted($0) }
        case "user_joined", "user_left":
            guard let user = data.roomsUser() else { return nil }
            return .presence(user: user, name: data["username"]?.stringValue ?? user, isOnline: name == "user_joined")
        case "user_typing":
            guard let user = data.roomsUser(), let isTyping = data["is_typing"]?.boolValue else { return nil }
            return .typing(user: user, name: data["username"]?.stringValue ?? user, isTyping: isTyping)
        case "presence": return data["online"]?.integerValue.map { .crowd(online: $0) }
        case "conversation_ended":
            let who = data.roomsUser("ended_by").map { " by \(SafeText.line($0, limit: 128))" } ?? ""
            return .notice("The conversation was ended\(who).")
        default: return nil
        }
    }

    private mutating func answered(_ id: Int, _ answer: JSONTree) -> [DialectStep] {
        guard let question = self.asked.removeValue(forKey: id) else { return [] }
        let isDone = answer["ok"]?.boolValue == true
        let sentence = answer.sentence("error")
        switch question {
        case .join where isDone:
            // The state stands in the answer, too.
            return answer["messages"] == nil ? [] : self.entered(answer)
        case .history(let limit) where isDone:
            return [.event(.history(Self.messages(of: answer).suffix(limit)))]
        case .history:
            return [.event(.refused(.history, sentence: sentence, retryAfter: answer.retryAfter))]
        case .join:
            return [.event(.refused(.entrance, sentence: sentence, retryAfter: answer.retryAfter))]
        case .send(let localID) where isDone:
            let moment = answer["timestamp"]?.stringValue.flatMap { Timestamp(rfc3339: $0) }
            return [.event(.stored(localID: localID, id: answer["id"]?.messageID, at: moment))]
        case .send(let localID):
            return [.event(.failed(localID: localID, sentence: sentence, retryAfter: answer.retryAfter))]
        }
    }

    /// Comes as an event and in the answer to `join_room`; the session takes the first of the two.
    private mutating func entered(_ state: JSONTree) -> [DialectStep] {
        self.standing = .inside
        var steps: [DialectStep] = []
        for participant in state["participants"]?.elements ?? [] {
            guard participant["online"]?.boolValue == true, let user = participant.roomsUser() else { continue }
            steps.append(.event(.presence(user: user, name: participant["username"]?.stringValue ?? user, isOnline: true)))
        }
        var messages = Self.messages(of: state)
        if self.entrance.after == nil { messages = messages.suffix(self.entrance.limit) }
        steps.append(.event(.entered(messages)))
        if state["conversation"]?["is_active"]?.boolValue == false { steps.append(.event(.notice("The conversation has ended."))) }
        return steps
    }

    private static func messages(of state: JSONTree) -> [ChatMessage] {
        (state["messages"]?.elements ?? []).compactMap { ChatMessage(rooms: $0) }
    }

    private func failed(_ data: JSONTree) -> DialectStep {
        if let head = data.resetHead { return .event(.reset(head: head)) }
        let sentence = data.sentence("message")
        // What asks for an acknowledgement gets its errors there.
        let request: ClientRequest? = data["event"]?.stringValue == "typing" ? .aside : nil
        return .event(.refused(request, sentence: sentence, retryAfter: data.retryAfter))
    }
}

extension JSONTree {
    /// The user that a field names, a guest apart from others of its id.
    fileprivate func roomsUser(_ name: String = "user_id") -> String? {
        self[name]?.stringValue.map { self["guest"]?.boolValue == true ? "guest:\($0)" : $0 }
    }
}

extension ChatMessage {
    fileprivate init?(rooms tree: JSONTree) {
        guard let id = tree["id"]?.messageID, let user = tree.roomsUser() else { return nil }
        self.init(id: id, sender: user, content: tree["content"]?.stringValue ?? "")
        self.senderName = tree["username"]?.stringValue
        self.sentAt = tree["timestamp"]?.stringValue.flatMap { Timestamp(rfc3339: $0) }
        self.isEdited = tree["is_edited"]?.boolValue ?? false
        self.isDeleted = tree["is_deleted"]?.boolValue ?? false
    }
}
