import Bytes
import ChatClient
import Identity

/// What a server is spoken to in.
struct LoadDialect {
    private let plan: LoadPlan
    private let signer: TokenSigner?
    private let tokenExpiry: Timestamp
    private let contentByteCount: Int

    /// - Parameters:
    ///   - signer: of the tokens; nil where none are needed.
    ///   - tokenExpiry: must lie beyond the end of the run.
    init(_ plan: LoadPlan, signer: TokenSigner?, tokenExpiry: Timestamp) {
        self.plan = plan
        self.signer = signer
        self.tokenExpiry = tokenExpiry
        self.contentByteCount = plan.messageBytes
    }

    /// Where a member connects.
    func url(member: Int, group: Int) -> WebSocketURL {
        let conversation = self.plan.conversation(group)
        let server = self.plan.urls[self.plan.serverIndex(of: member, in: group)]
        let tongue = self.plan.loadProtocol(of: member, in: group)
        switch tongue {
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
            let transport = tongue == .roomsPolling ? "polling" : "websocket"
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

    // MARK: Coming in

    /// Whether a member is in when it has its WebSocket; else `greeting` says what is said, and when it is.
    func joinsByConnecting(_ member: Int, group: Int) -> Bool {
        switch self.plan.loadProtocol(of: member, in: group) {
        case .raw, .conversations, .agents: true
        case .pets, .chats, .rooms, .roomsPolling: false
        }
    }

    /// What is said to a server.
    enum JoinStep: Equatable {
        case send(String)
        /// The member is in.
        case joined
    }

    /// What a member says when it has its WebSocket.
    func firstJoinStep(of member: Int, group: Int) -> JoinStep? {
        let conversation = self.plan.conversation(group)
        switch self.plan.loadProtocol(of: member, in: group) {
        case .pets:
            return .send(
                #"{"event":"history","data":{"conversation_id":"\#(conversation)","limit":1}}"#)
        case .chats: return .send(#"{"type":"joinChat","data":{"chat":"\#(conversation)"}}"#)
        // The server speaks first.
        case .rooms, .roomsPolling, .raw, .conversations, .agents: return nil
        }
    }

    /// What a frame that has no mark asks for.
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

    /// The text that publishes a message.
    func append(
        publishing mark: MessageStamp, by member: Int, in group: Int, to buffer: inout ByteBuffer
    ) {
        switch self.plan.loadProtocol(of: member, in: group) {
        case .raw:
            mark.append(to: &buffer, filledTo: self.contentByteCount)
        case .conversations:
            buffer.append(#"{"action":"send_message","content":""#)
            mark.append(to: &buffer, filledTo: self.contentByteCount)
            buffer.append(#"","local_id":""#)
            buffer.append(decimal: member)
            buffer.append("-")
            buffer.append(decimal: mark.number)
            buffer.append(#""}"#)
        case .pets:
            self.append(
                #"{"event":"message","data":{"conversation_id":""#, group, #"","content":""#, mark,
                #""}}"#, to: &buffer)
        case .chats:
            self.append(
                #"{"type":"newMessage","data":{"chat":""#, group, #"","text":""#, mark,
                #"","local_id":""#, to: &buffer)
            buffer.append(decimal: member)
            buffer.append("-")
            buffer.append(decimal: mark.number)
            buffer.append(#""}}"#)
        case .rooms, .roomsPolling:
            self.append(
                #"42["send_message",{"room_id":""#, group, #"","content":""#, mark, #""}]"#,
                to: &buffer)
        case .agents:
            // An acknowledgement has the id alone.
            buffer.append(#"{"type":"message","id":""#)
            mark.append(to: &buffer, filledTo: 0)
            buffer.append(#"","content":""#)
            mark.append(to: &buffer, filledTo: self.contentByteCount)
            buffer.append(#""}"#)
        }
    }

    /// A text that names the conversation before the content.
    private func append(
        _ head: StaticString, _ group: Int, _ middle: StaticString, _ mark: MessageStamp,
        _ tail: StaticString, to buffer: inout ByteBuffer
    ) {
        buffer.append(head)
        buffer.append(text: self.plan.conversation(group))
        buffer.append(middle)
        mark.append(to: &buffer, filledTo: self.contentByteCount)
        buffer.append(tail)
    }

    /// What a frame without a mark complains of; nil for presence, receipts and all else that is as it should be.
    func errorText(in frame: UnsafeRawBufferPointer, to member: Int, group: Int) -> String? {
        let words: [StaticString] =
            switch self.plan.loadProtocol(of: member, in: group) {
            case .raw: []
            case .conversations: ["message.failed", #""type":"error""#]
            case .pets: [#""event":"error""#]
            case .chats: [#""type":"error""#]
            case .rooms, .roomsPolling: [#"42["error""#, #"44{"#]
            case .agents: [#""type":"ERROR""#]
            }
        guard words.contains(where: { frame.contains($0) }) else { return nil }
        return String(decoding: frame.prefix(300), as: UTF8.self)
    }
}
