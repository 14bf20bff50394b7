import Bytes
import ConfabClient

/// The Rooms protocol, over a WebSocket or long polling. The server sends the first frame.
struct RoomsLoad: LoadProtocol {
    var usesLongPolling = false
    let joinsByConnecting = false
    let errorPatterns: [StaticString] = [#"42["error""#, #"44{"#]

    func url(of conversation: String, at server: WebSocketURL) -> WebSocketURL {
        server.appending(path: "/socket.io/").setting("EIO", to: "4").setting(
            "transport", to: self.usesLongPolling ? "polling" : "websocket")
    }

    func joinStep(after frame: UnsafeRawBufferPointer, joining conversation: String)
        -> LoadJoinStep?
    {
        switch frame.first {
        case UInt8(ascii: "0"): return .send("40")
        case UInt8(ascii: "2"): return .send("3")
        default: break
        }
        if frame.starts(with: "40{".utf8) {
            return .send(#"42["join_room",{"room_id":"\#(conversation)"}]"#)
        }
        return frame.starts(with: #"42["conversation_state""#.utf8) ? .joined : nil
    }

    func append(_ message: LoadMessage, to buffer: inout ByteBuffer) {
        buffer.append(#"42["send_message",{"room_id":""#)
        message.appendConversation(to: &buffer)
        buffer.append(#"","content":""#)
        message.appendContent(to: &buffer)
        buffer.append(#""}]"#)
    }
}

extension LoadAdapter {
    public static let rooms = LoadAdapter("rooms", RoomsLoad())
    public static let roomsPolling = LoadAdapter(
        "rooms-polling", remark: "members that only receive use long polling", RoomsLoad(),
        receiver: RoomsLoad(usesLongPolling: true))
}
