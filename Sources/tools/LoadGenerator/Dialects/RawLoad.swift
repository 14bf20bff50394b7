import Bytes
import ConfabClient

/// Raw frames, without a protocol.
struct RawLoad: LoadProtocol {
    let errorPatterns: [StaticString] = []

    func url(of conversation: String, at server: WebSocketURL) -> WebSocketURL {
        server.appending(path: "/g/\(conversation)")
    }

    func append(_ message: LoadMessage, to buffer: inout ByteBuffer) {
        message.appendContent(to: &buffer)
    }
}
