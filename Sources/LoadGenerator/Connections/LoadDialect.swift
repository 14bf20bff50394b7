import Bytes
import ChatClient
import Identity

/// The URLs and frames of the load generator, for each protocol.
struct LoadDialect {
    private let plan: LoadPlan
    private let signer: TokenSigner?
    private let tokenExpiry: Timestamp
    private let contentByteCount: Int

    /// - Parameters:
    ///   - signer: signs the tokens; nil where none are needed.
    ///   - tokenExpiry: must be after the end of the run.
    init(_ plan: LoadPlan, signer: TokenSigner?, tokenExpiry: Timestamp) {
        self.plan = plan
        self.signer = signer
        self.tokenExpiry = tokenExpiry
        self.contentByteCount = plan.messageBytes
    }

    /// The URL that a member connects to.
    func url(member: Int, group: Int) -> WebSocketURL {
        let conversation = self.plan.conversation(group)
        let server = self.plan.urls[self.plan.serverIndex(of: member, in: group)]
        let loadProtocol = self.plan.loadProtocol(of: member, in: group)
        switch loadProtocol {
        case .raw:
            return server.appending(path: "/g/\(conversation)")
        case .conversations:
            return self.url(
                server.appending(path: "/conversations/\(conversation)/"), member, conversation)
        case .pets:
            return self.url(server.appending(path: "/ws/"), member, conversation)
        case .chats:
            return self.url(server.appending(path: "/ws/chats/"), member, conversation)
        case .rooms, .roomsPolling:
            let transport = loadProtocol == .roomsPolling ? "polling" : "websocket"
            let url = server.appending(path: "/socket.io/").setting("EIO", to: "4").setting(
                "transport", to: transport)
            return self.url(url, member, conversation)
        case .agents:
            return self.url(
                server.appending(path: "/v1/ws").setting("channel_id", to: conversation), member,
                conversation)
        }
    }

    private func url(_ url: WebSocketURL, _ member: Int, _ conversation: String) -> WebSocketURL {
        self.token(member: member, conversation: conversation).map { url.setting("token", to: $0) }
            ?? url
    }

    // MARK: Joining

    /// Whether a member has joined as soon as its WebSocket is open. Otherwise `firstJoinStep` and
    /// `joinStep` lead to the join.
    func joinsByConnecting(_ member: Int, group: Int) -> Bool {
        switch self.plan.loadProtocol(of: member, in: group) {
        case .raw, .conversations, .agents: true
        case .pets, .chats, .rooms, .roomsPolling: false
        }
    }

    /// A step of the join.
    enum JoinStep: Equatable {
        case send(String)
        /// The member has joined.
        case joined
    }

    /// The frame that a member sends when its WebSocket is open.
    func firstJoinStep(of member: Int, group: Int) -> JoinStep? {
        let conversation = self.plan.conversation(group)
        switch self.plan.loadProtocol(of: member, in: group) {
        case .pets:
            return .send(
                #"{"event":"history","data":{"conversation_id":"\#(conversation)","limit":1}}"#)
        case .chats: return .send(#"{"type":"joinChat","data":{"chat":"\#(conversation)"}}"#)
        // The server sends the first frame.
        case .rooms, .roomsPolling, .raw, .conversations, .agents: return nil
        }
    }

    /// The step that follows a frame without a stamp.
    func joinStep(of member: Int, to frame: UnsafeRawBufferPointer, group: Int) -> JoinStep? {
        switch self.plan.loadProtocol(of: member, in: group) {
        case .pets: return frame.contains(#"{"event":"history""#) ? .joined : nil
        case .chats: return frame.contains(#"{"type":"chatJoined""#) ? .joined : nil
        case .rooms, .roomsPolling:
            switch frame.first {
            case UInt8(ascii: "0"): return .send("40")
            case UInt8(ascii: "2"): return .send("3")
            default: break
            }
            if frame.starts(with: "40{".utf8) {
                return .send(#"42["join_room",{"room_id":"\#(self.plan.conversation(group))"}]"#)
            }
            return frame.starts(with: #"42["conversation_state""#.utf8) ? .joined : nil
        case .raw, .conversations, .agents: return nil
        }
    }

    private func token(member: Int, conversation: String) -> String? {
        let name = "u\(member)"
        let claims = Claims(
            subject: name, username: name, grants: .listed([ByteString(conversation)]),
            expiry: self.tokenExpiry)
        do {
            return try self.signer?.sign(claims)
        } catch {
            preconditionFailure("A token of our own making is refused: \(error)")
        }
    }

    /// Appends the frame that publishes a message.
    func append(
        publishing stamp: MessageStamp, by member: Int, in group: Int, to buffer: inout ByteBuffer
    ) {
        switch self.plan.loadProtocol(of: member, in: group) {
        case .raw:
            stamp.append(to: &buffer, filledTo: self.contentByteCount)
        case .conversations:
            buffer.append(#"{"action":"send_message","content":""#)
            stamp.append(to: &buffer, filledTo: self.contentByteCount)
            buffer.append(#"","local_id":""#)
            buffer.append(decimal: member)
            buffer.append("-")
            buffer.append(decimal: stamp.number)
            buffer.append(#""}"#)
        case .pets:
            self.append(
                #"{"event":"message","data":{"conversation_id":""#, group, #"","content":""#, stamp,
                #""}}"#, to: &buffer)
        case .chats:
            self.append(
                #"{"type":"newMessage","data":{"chat":""#, group, #"","text":""#, stamp,
                #"","local_id":""#, to: &buffer)
            buffer.append(decimal: member)
            buffer.append("-")
            buffer.append(decimal: stamp.number)
            buffer.append(#""}}"#)
        case .rooms, .roomsPolling:
            self.append(
                #"42["send_message",{"room_id":""#, group, #"","content":""#, stamp, #""}]"#,
                to: &buffer)
        case .agents:
            // An acknowledgement contains only the id.
            buffer.append(#"{"type":"message","id":""#)
            stamp.append(to: &buffer, filledTo: 0)
            buffer.append(#"","content":""#)
            stamp.append(to: &buffer, filledTo: self.contentByteCount)
            buffer.append(#""}"#)
        }
    }

    /// Appends a frame that names the conversation before the content.
    private func append(
        _ head: StaticString, _ group: Int, _ middle: StaticString, _ stamp: MessageStamp,
        _ tail: StaticString, to buffer: inout ByteBuffer
    ) {
        buffer.append(head)
        buffer.append(text: self.plan.conversation(group))
        buffer.append(middle)
        stamp.append(to: &buffer, filledTo: self.contentByteCount)
        buffer.append(tail)
    }

    /// The text of a frame that reports an error; nil for presence, receipts and other expected
    /// frames.
    func errorText(in frame: UnsafeRawBufferPointer, to member: Int, group: Int) -> String? {
        let patterns: [StaticString] =
            switch self.plan.loadProtocol(of: member, in: group) {
            case .raw: []
            case .conversations: ["message.failed", #""type":"error""#]
            case .pets: [#""event":"error""#]
            case .chats: [#""type":"error""#]
            case .rooms, .roomsPolling: [#"42["error""#, #"44{"#]
            case .agents: [#""type":"ERROR""#]
            }
        guard patterns.contains(where: { frame.contains($0) }) else { return nil }
        return String(decoding: frame.prefix(300), as: UTF8.self)
    }
}
