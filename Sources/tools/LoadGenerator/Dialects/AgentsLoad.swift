import Bytes
import ConfabClient

/// The Agents protocol, in a channel.
struct AgentsLoad: LoadProtocol {
    let errorPatterns: [StaticString] = [#""type":"ERROR""#]

    func url(of conversation: String, at server: WebSocketURL) -> WebSocketURL {
        server.appending(path: "/v1/ws").setting("channel_id", to: conversation)
    }

    func append(_ message: LoadMessage, to buffer: inout ByteBuffer) {
        // An acknowledgement contains only the id.
        buffer.append(#"{"type":"message","id":""#)
        message.appendStamp(to: &buffer)
        buffer.append(#"","content":""#)
        message.appendContent(to: &buffer)
        buffer.append(#""}"#)
    }
}

extension LoadAdapter {
    public static let agents = LoadAdapter("agents", AgentsLoad())
}
