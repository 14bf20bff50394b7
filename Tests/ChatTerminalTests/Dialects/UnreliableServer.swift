import Bytes
import JSON
import SeededRandom

@testable import ChatTerminal
@testable import ConfabClient

/// A server of one conversation with random faults: frames are lost with the connection, in both
/// directions, sends are rejected for their rate, and other users send as well.
struct UnreliableServer {
    /// The protocols whose server is simulated.
    enum SimulatedDialect: String, CaseIterable {
        case conversations, pets, chats, rooms, agents
    }

    struct Stored {
        let id: Int
        let sender: String
        let content: String
        let localID: String?
        let sentAt: String
    }

    let dialect: SimulatedDialect
    private(set) var messages: [Stored] = []
    /// Frames in flight to the client; nil while there is no connection.
    var outbound: [String]?
    private var seconds: Int64 = 0
    /// Whether the connection receives the conversation. In Rooms it does so only after the join.
    private var isSubscribed = false

    init(_ dialect: SimulatedDialect) {
        self.dialect = dialect
    }

    /// A client for the conversation.
    var client: any ClientDialect {
        let url = ChatSessionFixture.url
        switch self.dialect {
        case .conversations: return ConversationsClient(url)
        case .pets: return PetsClient(url, in: "general")
        case .chats: return ChatsClient(url, in: "5")
        case .agents: return AgentsClient(url, in: "general", as: "alice")
        case .rooms:
            return RoomsClient(
                url, in: "general", as: .init(user: "alice", name: "Alice"), token: nil)
        }
    }

    /// The sender id of the client's own messages.
    var user: String? {
        switch self.dialect {
        case .conversations, .agents, .rooms: "alice"
        case .pets, .chats: nil
        }
    }

    private mutating func time() -> String {
        self.seconds += 1
        var buffer = ByteBuffer()
        buffer.append(timestamp: Timestamp(milliseconds: 1_769_860_800_000 + self.seconds * 1000))
        return buffer.text
    }

    private mutating func deliver(_ frame: String) {
        self.outbound?.append(frame)
    }

    mutating func connect(to url: WebSocketURL) {
        self.outbound = []
        self.isSubscribed = self.dialect != .rooms
        switch self.dialect {
        case .conversations, .agents:
            guard let after = url.parameter("after").flatMap({ Int($0) }) else { return }
            for message in self.messages where message.id > after {
                self.deliver(self.live(message))
            }
        case .pets: self.deliver(#"{"event":"connected","data":{"user_id":"alice"}}"#)
        case .rooms:
            self.deliver(
                #"""
                0{"sid":"s","upgrades":[],"pingInterval":25000,"pingTimeout":20000,\#
                "maxPayload":1000000}
                """#
            )
        case .chats: break
        }
    }

    mutating func post(_ sender: String, _ content: String, _ localID: String? = nil) {
        let message = Stored(
            id: self.messages.count + 1, sender: sender, content: content, localID: localID,
            sentAt: self.time())
        self.messages.append(message)
        // Some protocols answer the sender with another frame.
        if sender == "alice", self.dialect == .pets || self.dialect == .agents { return }
        guard self.isSubscribed else { return }
        self.deliver(self.live(message))
        if self.dialect == .rooms { self.deliver(#"42["offset","\#(message.id)"]"#) }
    }

    mutating func receive(_ text: String, using chance: inout SeededGenerator) {
        guard self.outbound != nil else { return }
        switch self.dialect {
        case .rooms: self.receiveRooms(text, using: &chance)
        case .conversations, .pets, .chats, .agents:
            guard let frame = try? JSONTree(parsing: text) else { return }
            self.receive(frame, using: &chance)
        }
    }

    private mutating func receive(_ frame: JSONTree, using chance: inout SeededGenerator) {
        let data = frame["data"] ?? frame
        let number = { (name: String) in
            data[name]?.integerValue ?? data[name]?.stringValue.flatMap { Int($0) }
        }
        switch (frame["action"] ?? frame["event"] ?? frame["type"])?.stringValue {
        case "fetch_messages":
            self.deliver(self.page(self.messages.suffix(number("limit") ?? 20).reversed()))
        case "history":
            let limit = number("limit") ?? 50
            let messages = number("after").map { after in
                self.messages.filter { $0.id > after }.prefix(limit)
            }
            self.deliver(self.page(Array(messages ?? self.messages.suffix(limit))))
        case "joinChat":
            self.deliver(
                #"""
                {"type":"chatJoined","data":{"chat":5,"user":{"id":7,"username":"alice"},\#
                "last_read_message":0}}
                """#
            )
        case "getChatMessages":
            self.deliver(self.page(self.messages.suffix(number("last") ?? 10_000)))
        case "status_query":
            self.deliver(
                #"""
                {"type":"status_list","channel_id":"general","agents":[],\#
                "timestamp":"\#(self.time())"}
                """#
            )
        case "send_message", "newMessage", "message":
            let content = (data["content"] ?? data["text"])?.stringValue ?? ""
            self.send(content, (data["local_id"] ?? data["id"])?.stringValue, using: &chance)
        default: break
        }
    }

    private mutating func send(
        _ content: String, _ localID: String?, ackID: Int? = nil,
        using chance: inout SeededGenerator
    ) {
        if let localID, let known = self.messages.first(where: { $0.localID == localID }) {
            self.deliver(self.answer(known, ackID))
        } else if Int.random(in: 0..<5, using: &chance) == 0 {
            self.deliver(self.refusal(localID, ackID))
        } else {
            self.post("alice", content, localID)
            if self.dialect != .conversations, self.dialect != .chats {
                self.deliver(self.answer(self.messages[self.messages.count - 1], ackID))
            }
        }
    }

    // MARK: Frames

    private func live(_ message: Stored) -> String {
        switch self.dialect {
        case .conversations:
            ChatSessionFixture.message(
                message.id, message.sender, message.content, localID: message.localID)
        case .pets: #"{"event":"message","data":\#(self.fields(message))}"#
        case .chats: #"{"type":"messageCreated","data":\#(self.fields(message))}"#
        case .agents: self.fields(message)
        case .rooms: #"42["new_message",\#(self.fields(message))]"#
        }
    }

    private func answer(_ message: Stored, _ ackID: Int?) -> String {
        let localID = message.localID ?? ""
        return switch self.dialect {
        case .conversations, .chats: self.live(message)
        case .pets:
            #"""
            {"event":"message_sent","data":{"conversation_id":"general",\#
            "message_id":"\#(message.id)","local_id":"\#(localID)",\#
            "content":"\#(message.content)","timestamp":"\#(message.sentAt)"}}
            """#
        case .agents:
            #"""
            {"type":"ACK","message_id":"\#(localID)","seq":\#(message.id),\#
            "timestamp":"\#(message.sentAt)"}
            """#
        case .rooms:
            #"""
            43\#(ackID ?? 0)[{"ok":true,"id":"\#(message.id)","timestamp":"\#(message.sentAt)",\#
            "local_id":"\#(localID)"}]
            """#
        }
    }

    private func refusal(_ localID: String?, _ ackID: Int?) -> String {
        switch self.dialect {
        case .conversations:
            ChatSessionFixture.failed(localID ?? "", "rate limited", retryAfter: "0.20")
        case .pets:
            #"""
            {"event":"error","data":{"message":"rate limited","event":"message","retry_after":0.20}}
            """#
        case .chats:
            #"""
            {"type":"error","data":{"message":"rate limited","request":"newMessage",\#
            "local_id":"\#(localID ?? "")","retry_after":0.20}}
            """#
        case .agents:
            #"""
            {"type":"ERROR","error":"rate limited","message_id":"\#(localID ?? "")",\#
            "retry_after":0.20,"timestamp":"x"}
            """#
        case .rooms: #"43\#(ackID ?? 0)[{"ok":false,"error":"rate limited","retry_after":0.20}]"#
        }
    }

    private func page(_ messages: [Stored]) -> String {
        let list = messages.map { self.fields($0, isPage: true) }.joined(separator: ",")
        return switch self.dialect {
        case .conversations:
            ChatSessionFixture.page(messages.map { ($0.id, $0.sender, $0.content) })
        case .pets:
            #"{"event":"history","data":{"conversation_id":"general","messages":[\#(list)]}}"#
        case .chats: #"{"type":"chatMessages","data":[\#(list)]}"#
        case .agents, .rooms: "[\(list)]"
        }
    }

    private func fields(_ message: Stored, isPage: Bool = false) -> String {
        let tail = #""content":"\#(message.content)","timestamp":"\#(message.sentAt)""#
        return switch self.dialect {
        case .conversations: ""
        case .pets:
            #"""
            {"conversation_id":"general","message_id":"\#(message.id)",\#
            "sender_id":"\#(message.sender)",\#(tail)}
            """#
        case .chats:
            #"""
            {"id":\#(message.id),"chat":5,"sender":{"id":\#(message.sender == "alice" ? 7 : 8),\#
            "username":"\#(message.sender)"},"text":"\#(message.content)",\#
            "timestamp":"\#(message.sentAt)",\#
            "is_read":false\#(isPage ? "" : message.localID.map { #","local_id":"\#($0)""# } ?? "")}
            """#
        case .agents:
            #"""
            {"id":"\#(message.localID ?? String(message.id))","type":"message",\#
            "tenant_id":"default","agent_id":"\#(message.sender)","channel_id":"general",\#
            "seq":\#(message.id),\#(tail)}
            """#
        case .rooms:
            #"""
            {"id":"\#(message.id)","room_id":"general","user_id":"\#(message.sender)",\#
            "username":"\#(message.sender)",\#(tail)}
            """#
        }
    }

    // MARK: Rooms

    private mutating func receiveRooms(_ text: String, using chance: inout SeededGenerator) {
        if text.hasPrefix("40") {
            let auth = (try? JSONTree(parsing: String(text.dropFirst(2))))
            let offset = auth?["offset"]?.stringValue.flatMap { Int($0) }
            let isRecovered = offset != nil && Bool.random(using: &chance)
            let pid = isRecovered ? auth?["pid"]?.stringValue ?? "" : self.time()
            self.deliver(#"40{"sid":"x","pid":"\#(pid)"}"#)
            guard isRecovered, let offset else { return }
            self.isSubscribed = true
            for message in self.messages where message.id > offset {
                self.deliver(self.live(message))
                self.deliver(#"42["offset","\#(message.id)"]"#)
            }
            return
        }
        let digits = text.dropFirst(2).prefix { $0.isNumber }
        guard text.hasPrefix("42"),
            let event = try? JSONTree(parsing: String(text.dropFirst(2 + digits.count))).elements,
            event.count == 2
        else { return }
        switch event[0].stringValue {
        case "join_room":
            self.isSubscribed = true
            let state =
                #"""
                "conversation":{"room_id":"general","is_active":true},"participants":[],\#
                "messages":\#(self.page(self.messages.suffix(50)))
                """#
            self.outbound? += [
                #"42["conversation_state",{\#(state)}]"#, #"43\#(digits)[{"ok":true,\#(state)}]"#,
            ]
            self.deliver(#"42["offset","\#(self.messages.count)"]"#)
        case "send_message":
            self.send(
                event[1]["content"]?.stringValue ?? "", event[1]["local_id"]?.stringValue,
                ackID: Int(digits), using: &chance)
        default: break
        }
    }
}
