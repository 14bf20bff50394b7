import Bytes
import ConfabClient

/// The Pets protocol: a page of the history subscribes to the conversation.
struct PetsLoad: LoadProtocol {
    let joinsByConnecting = false
    let errorPatterns: [StaticString] = [#""event":"error""#]

    func url(of conversation: String, at server: WebSocketURL) -> WebSocketURL {
        server.appending(path: "/ws/")
    }

    func firstFrame(joining conversation: String) -> String? {
        #"{"event":"history","data":{"conversation_id":"\#(conversation)","limit":1}}"#
    }

    func joinStep(after frame: UnsafeRawBufferPointer, joining conversation: String)
        -> LoadJoinStep?
    {
        frame.contains(#"{"event":"history""#) ? .joined : nil
    }

    func append(_ message: LoadMessage, to buffer: inout ByteBuffer) {
        buffer.append(#"{"event":"message","data":{"conversation_id":""#)
        message.appendConversation(to: &buffer)
        buffer.append(#"","content":""#)
        message.appendContent(to: &buffer)
        buffer.append(#""}}"#)
    }
}

extension LoadAdapter {
    public static let pets = LoadAdapter("pets", PetsLoad())
}
