import Bytes
import ConfabClient
public import LoadGenerator

extension LoadAdapter {
    public static let example = LoadAdapter("example", ExampleLoad())
}

/// `ExampleDialect` in the load generator.
struct ExampleLoad: LoadProtocol {
    let errorPatterns: [StaticString] = [#"{"error""#]

    func url(of conversation: String, at server: WebSocketURL) -> WebSocketURL {
        server.appending(path: "/example/\(conversation)")
    }

    func append(_ message: LoadMessage, to buffer: inout ByteBuffer) {
        buffer.append(#"{"content":""#)
        message.appendContent(to: &buffer)
        buffer.append(#"","id":""#)
        message.appendLocalID(to: &buffer)
        buffer.append(#""}"#)
    }
}
