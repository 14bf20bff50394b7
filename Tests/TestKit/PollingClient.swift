/// An Engine.IO session over HTTP long polling. Each request uses a connection of its own.
public struct PollingClient: Sendable {
    /// The port for its requests.
    public let port: UInt16
    /// The session id.
    public let sid: String
    /// Appended to the query of every request after `sid`.
    public var query = ""

    /// Opens a session with a handshake.
    ///
    /// - Parameter query: appended to the query of the handshake, with a leading `&`.
    public init(port: UInt16, query: String = "") throws {
        self.port = port
        let reply = try HTTPReply.get("/socket.io/?EIO=4&transport=polling\(query)", port: port)
        guard reply.status == 200, reply.body.hasPrefix("0"),
            let sid = try JSONObject(String(reply.body.dropFirst()))["sid"]
        else {
            throw TestFailure("no handshake: \(reply)")
        }
        self.sid = sid
    }

    private init(sid: String, port: UInt16) {
        self.sid = sid
        self.port = port
    }

    /// The same session, with requests through another node.
    public func throughNode(atPort port: UInt16) -> PollingClient {
        PollingClient(sid: self.sid, port: port)
    }

    /// The path and query of its requests.
    public var path: String { "/socket.io/?EIO=4&transport=polling&sid=\(self.sid)\(self.query)" }

    /// Polls for packets.
    public func poll(fields: [String: String] = [:]) throws -> HTTPReply {
        try .get(self.path, port: self.port, fields: fields)
    }

    /// Starts a poll without waiting for the response.
    public func beginPoll() throws -> ByteStream {
        let stream = try ByteStream(port: self.port)
        try stream.send(
            "GET \(self.path) HTTP/1.1\r\nHost: 127.0.0.1:\(self.port)\r\nConnection: close\r\n\r\n"
        )
        return stream
    }

    /// Posts packets.
    @discardableResult
    public func post(_ body: String, fields: [String: String] = [:]) throws -> HTTPReply {
        let type = ["Content-Type": "text/plain;charset=UTF-8"]
        return try .post(self.path, body, port: self.port, fields: fields.merging(type) { $1 })
    }

    /// Starts a POST with the first part of its body. The test sends the rest.
    public func beginPost(_ body: [UInt8], of byteCount: Int) throws -> ByteStream {
        let stream = try ByteStream(port: self.port)
        try stream.send(
            "POST \(self.path) HTTP/1.1\r\nHost: 127.0.0.1:\(self.port)\r\n"
                + "Content-Length: \(byteCount)\r\nConnection: close\r\n\r\n"
        )
        try stream.send(body)
        return stream
    }

    /// Opens a WebSocket to which the session can upgrade.
    public func upgrade(fields: [String: String] = [:]) throws -> RawWebSocketClient {
        try RawWebSocketClient(
            "/socket.io/?EIO=4&transport=websocket&sid=\(self.sid)\(self.query)", port: self.port,
            fields: fields)
    }

    /// Polls until this number of packets has arrived.
    public func packets(_ count: Int) throws -> [String] {
        var packets: [String] = []
        while packets.count < count {
            let reply = try self.poll()
            guard reply.status == 200 else { throw TestFailure("\(reply)") }
            packets += reply.body.split(separator: "\u{1E}").map(String.init)
        }
        return packets
    }

    /// Connects to the main namespace.
    ///
    /// - Parameter token: nil for an anonymous user.
    public func connectNamespace(token: String?) throws {
        let reply = try self.post(token.map { #"40{"token":"\#($0)"}"# } ?? "40")
        let packets = try self.packets(2)
        guard reply.body == "ok", packets[0].hasPrefix(#"40{"sid":""#),
            packets[1].hasPrefix(#"42["offset",""#)
        else {
            throw TestFailure("not connected: \(reply), \(packets)")
        }
    }
}
