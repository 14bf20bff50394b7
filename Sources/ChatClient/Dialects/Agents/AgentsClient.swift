import Bytes
import JSON

/// The Agents protocol: a channel that goes on behind `after`, an inbox, and an acknowledgement for each line.
struct AgentsClient: ClientDialect {
    private let place: WebSocketURL
    private let channel: String?
    /// The agent that one is; nil when the token cannot be read.
    private let me: String?
    /// Whether the question is open whose answer says that one is in.
    private var isEntering = false
    /// When one was in for the first time, by the server's clock.
    private var enteredAt: Timestamp?
    /// On this connection everything up to here is past.
    private var floor: Timestamp?
    private var directs = KnownDirects()
    /// The highest revision of the channel that was seen; nil while none was.
    private var revision: Int?

    /// - Parameters:
    ///   - place: with the channel in it, where there is one.
    ///   - channel: nil for an inbox alone.
    init(_ place: WebSocketURL, in channel: String?, as agent: String?) {
        self.place = place
        self.channel = channel
        self.me = agent
    }

    var dialect: ChatDialect { .agents }
    var abilities: Set<ClientAbility> { self.channel == nil ? [.directMessages] : [.presence, .directMessages] }
    var replays: Bool { true }
    var waitsAtTheDoor: Bool { false }

    /// Nobody says which message is the channel's newest. While none has been heard one goes on from the beginning, and lets pass what was
    /// said before one came.
    func url(after: Int?) -> WebSocketURL {
        if let after {
            let place = self.place.setting("after", to: String(after))
            return self.revision.map { place.setting("rev", to: String($0)) } ?? place
        }
        return self.startsOver ? self.place.setting("after", to: "0") : self.place
    }

    private var startsOver: Bool { self.channel != nil && self.enteredAt != nil && self.place.parameter("after") == nil }

    mutating func connected() {
        self.isEntering = false
        self.floor = nil
    }

    mutating func enter(_ entrance: Entrance) -> [DialectStep] {
        // Whoever was accepted is in; only a channel can be asked about.
        guard self.channel != nil else { return [.event(.entered(nil))] }
        self.floor = entrance.after == nil && self.startsOver ? self.enteredAt : nil
        self.isEntering = true
        return [.send(#"{"type":"status_query"}"#)]
    }

    mutating func frames(for wish: ClientWish) -> [String] {
        guard case .send(let line) = wish else { return [] }
        var frame: [JSONTree.Member] = [.init("id", .string(line.localID)), .init("type", "message")]
        if let to = line.to { frame.append(.init("to", .string(to))) }
        frame.append(.init("content", .string(line.text)))
        return [JSONTree.object(frame).text]
    }

    // MARK: What the server says

    mutating func heard(_ text: [UInt8]) -> [DialectStep] {
        guard let frame = JSONTree.frame(text), let type = frame["type"]?.stringValue else { return .nonsense }
        if let revision = frame["rev"]?.integerValue { self.revision = max(self.revision ?? 0, revision) }
        switch type {
        case "message", "message.edited", "message.deleted":
            return self.heard(message: frame, type).map { [.event($0)] } ?? []
        case "ACK":
            guard let id = frame["message_id"]?.stringValue else { return [] }
            return [.event(.stored(localID: id, id: frame["seq"]?.messageID, at: Self.timestamp(of: frame)))]
        case "status":
            return Self.presence(frame).map { [.event($0)] } ?? []
        case "presence":
            return frame["online"]?.integerValue.map { [.event(.crowd(online: $0))] } ?? []
        case "status_list":
            return self.entered(frame)
        case "ERROR":
            return self.failed(frame).map { [.event($0)] } ?? []
        default:
            return []
        }
    }

    private mutating func heard(message frame: JSONTree, _ type: String) -> ServerEvent? {
        guard let sender = frame["agent_id"]?.stringValue else { return nil }
        var message = ChatMessage(id: 0, sender: sender, content: frame["content"]?.stringValue ?? "")
        message.sentAt = Self.timestamp(of: frame)
        if let to = frame["to"]?.stringValue {
            guard self.directs.isNew(from: sender, frame["id"]?.stringValue, frame["timestamp"]?.stringValue) else { return nil }
            return .direct(message, to: to)
        }
        guard let id = frame["seq"]?.messageID, frame["channel_id"]?.stringValue == self.channel else { return nil }
        message.id = id
        if type == "message.edited" { return .edited(message) }
        if type == "message.deleted" { return .deleted(message) }
        if let floor = self.floor, let sentAt = message.sentAt, sentAt <= floor { return nil }
        if sender == self.me { message.localID = frame["id"]?.stringValue }
        message.isEdited = frame["is_edited"]?.boolValue ?? false
        message.isDeleted = frame["is_deleted"]?.boolValue ?? false
        return .message(message)
    }

    private static func timestamp(of frame: JSONTree) -> Timestamp? {
        frame["timestamp"]?.stringValue.flatMap { Timestamp(rfc3339: $0) }
    }

    private static func presence(_ tree: JSONTree) -> ServerEvent? {
        guard let agent = tree["agent_id"]?.stringValue, let status = tree["status"]?.stringValue else { return nil }
        return .presence(user: agent, name: agent, isOnline: status == "online")
    }

    private mutating func entered(_ frame: JSONTree) -> [DialectStep] {
        guard self.isEntering else { return [] }
        self.isEntering = false
        self.enteredAt = self.enteredAt ?? Self.timestamp(of: frame)
        let others = (frame["agents"]?.elements ?? []).filter { $0["status"]?.stringValue == "online" }.compactMap(Self.presence)
        return others.map { .event($0) } + [.event(.entered(nil))]
    }

    private mutating func failed(_ frame: JSONTree) -> ServerEvent? {
        if let head = frame.resetHead {
            self.revision = nil
            return .reset(head: head)
        }
        if let oldest = frame["oldest_id"]?.messageID {
            self.revision = nil
            // Whoever lets the past pass misses nothing of it.
            return self.floor == nil ? .truncated(oldestID: oldest) : nil
        }
        let sentence = frame.sentence("error")
        if let id = frame["message_id"]?.stringValue { return .failed(localID: id, sentence: sentence, retryAfter: frame.retryAfter) }
        // What has no id is an answer to the one question that can be asked again, or news of the connection.
        let isAnswer = self.isEntering && (frame.retryAfter != nil || sentence.asksToTryAgain)
        return .refused(isAnswer ? .entrance : nil, sentence: sentence, retryAfter: frame.retryAfter)
    }
}
