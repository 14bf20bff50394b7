import Bytes
import ConfabClient

/// The Conversations protocol.
struct ConversationsLoad: LoadProtocol {
    let errorPatterns: [StaticString] = ["message.failed", #""type":"error""#]

    func url(of conversation: String, at server: WebSocketURL) -> WebSocketURL {
        server.appending(path: "/conversations/\(conversation)/")
    }

    func append(_ message: LoadMessage, to buffer: inout ByteBuffer) {
        buffer.append(#"{"action":"send_message","content":""#)
        message.appendContent(to: &buffer)
        buffer.append(#"","local_id":""#)
        message.appendLocalID(to: &buffer)
        buffer.append(#""}"#)
    }
}

extension LoadAdapter {
    /// Scripts use its name, which is older than the other protocols.
    public static let conversations = LoadAdapter(
        "confab", remark: "Conversations", ConversationsLoad())
}
