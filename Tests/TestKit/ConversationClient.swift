import Synchronization

/// A client of the Conversations protocol that sends and receives single frames.
public final class ConversationClient {
    public let socket: RawWebSocketClient
    private static let postCount = Atomic(0)

    public init(_ socket: RawWebSocketClient) {
        self.socket = socket
    }

    /// The next frame from the server, of any type.
    public func next(within time: Duration = Deadline.defaultTimeout) throws -> JSONObject {
        switch try self.socket.next(within: time) {
        case .text(let text): return try JSONObject(text)
        case let other: throw TestFailure("expected a message and got \(other)")
        }
    }

    /// The next frame of this type; frames of other types are skipped.
    public func next(_ type: String, within time: Duration = Deadline.defaultTimeout) throws
        -> JSONObject
    {
        let deadline = Deadline(within: time)
        while true {
            let message = try self.next(within: deadline.remaining)
            if message["type"] == type { return message }
        }
    }

    /// The way the server ends the connection; frames before that are skipped.
    public func closeEvent(within time: Duration = Deadline.defaultTimeout) throws
        -> RawWebSocketClient.Event
    {
        let deadline = Deadline(within: time)
        while true {
            switch try self.socket.next(within: deadline.remaining) {
            case .text, .binary, .pong: continue
            case let event: return event
            }
        }
    }

    public func send(_ json: String) throws { try self.socket.send(json) }

    /// Sends a message without waiting for the answer.
    public func sendMessage(_ content: String, as localID: String? = nil) throws {
        let id = localID.map { #","local_id":\#(jsonString($0))"# } ?? ""
        try self.send(#"{"action":"send_message","content":\#(jsonString(content))\#(id)}"#)
    }

    /// Sends a message and waits until it is stored. Its `local_id` distinguishes it from another
    /// user's message with the same content.
    @discardableResult
    public func post(_ content: String, as localID: String? = nil) throws -> JSONObject {
        let id = localID ?? "post-\(Self.postCount.wrappingAdd(1, ordering: .relaxed).newValue)"
        try self.sendMessage(content, as: id)
        let deadline = Deadline()
        while true {
            let answer = try self.next(within: deadline.remaining)
            switch answer["type"] {
            case "chat_message":
                if let message = answer.object("message"), message["local_id"] == id,
                    message["content"] == content
                {
                    return message
                }
            case "message.failed" where answer["local_id"] == id:
                throw TestFailure("sending failed: \(answer)")
            default: continue
            }
        }
    }

    /// A page of messages from `fetch_messages`.
    public func history(_ fields: String = "") throws -> [JSONObject] {
        try self.send(#"{"action":"fetch_messages"\#(fields.isEmpty ? "" : ",")\#(fields)}"#)
        return try self.next("messages_fetched").objects("messages") ?? []
    }

    /// The complete retained history, oldest first, fetched in pages.
    public func wholeHistory() throws -> [JSONObject] {
        var all: [JSONObject] = []
        while true {
            let page = try self.history(#""after_id":"\#(all.last?["id"] ?? "0")","limit":100"#)
            if page.isEmpty { return all }
            all += page
        }
    }

    /// Waits until the server has read everything that was sent before: sends a ping and waits for
    /// the pong.
    public func synchronize() throws {
        try self.socket.send(opcode: 9, Array("settled".utf8))
        let deadline = Deadline()
        while true {
            switch try self.socket.next(within: deadline.remaining) {
            case .pong(Array("settled".utf8)): return
            case .close, .end: throw TestFailure("the server closed the connection")
            default: break
            }
        }
    }
}
