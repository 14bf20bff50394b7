import Bytes
import ConfabClient

/// The Chats protocol.
struct ChatsLoad: LoadProtocol {
    let joinsByConnecting = false
    let errorPatterns: [StaticString] = [#""type":"error""#]

    func url(of conversation: String, at server: WebSocketURL) -> WebSocketURL {
        server.appending(path: "/ws/chats/")
    }

    func firstFrame(joining conversation: String) -> String? {
        #"{"type":"joinChat","data":{"chat":"\#(conversation)"}}"#
    }

    func joinStep(after frame: UnsafeRawBufferPointer, joining conversation: String)
        -> LoadJoinStep?
    {
        frame.contains(#"{"type":"chatJoined""#) ? .joined : nil
    }

    func append(_ message: LoadMessage, to buffer: inout ByteBuffer) {
        buffer.append(#"{"type":"newMessage","data":{"chat":""#)
        message.appendConversation(to: &buffer)
        buffer.append(#"","text":""#)
        message.appendContent(to: &buffer)
        buffer.append(#"","local_id":""#)
        message.appendLocalID(to: &buffer)
        buffer.append(#""}}"#)
    }
}

extension LoadAdapter {
    public static let chats = LoadAdapter("chats", ChatsLoad())
}
