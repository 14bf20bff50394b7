/// A session of Engine.IO over long polling, by hand. Each request is a connection of its own.
public struct PollingClient: Sendable {
    /// Where its requests go.
    public let port: UInt16
    /// What the server calls the session.
    public let sid: String
    /// Behind `sid` in the query of every request.
    public var query = ""

    /// A handshake.
    ///
    /// - Parameter query: behind the handshake's own, `&` first.
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

    /// The same session by another node.
    public func throughNode(atPort port: UInt16) -> PollingClient {
        PollingClient(sid: self.sid, port: port)
    }

    /// What its requests ask for.
    public var path: String { "/socket.io/?EIO=4&transport=polling&sid=\(self.sid)\(self.query)" }

    /// Waits for packets.
    public func poll(fields: [String: String] = [:]) throws -> HTTPReply {
        try .get(self.path, port: self.port, fields: fields)
    }

    /// A poll that is not waited for.
    public func beginPoll() throws -> ByteStream {
        let stream = try ByteStream(port: self.port)
        try stream.send(
            "GET \(self.path) HTTP/1.1\r\nHost: 127.0.0.1:\(self.port)\r\nConnection: close\r\n\r\n"
        )
        return stream
    }

    /// Brings packets.
    @discardableResult
    public func post(_ body: String, fields: [String: String] = [:]) throws -> HTTPReply {
        let type = ["Content-Type": "text/plain;charset=UTF-8"]
        return try .post(self.path, body, port: self.port, fields: fields.merging(type) { $1 })
    }

    /// A POST with the beginning of its body; the rest is the test's to send.
    public func beginPost(_ body: [UInt8], of byteCount: Int) throws -> ByteStream {
        let stream = try ByteStream(port: self.port)
        try stream.send(
            "POST \(self.path) HTTP/1.1\r\nHost: 127.0.0.1:\(self.port)\r\nContent-Length: \(byteCount)\r\nConnection: close\r\n\r\n"
        )
        try stream.send(body)
        return stream
    }

    /// A WebSocket that is to take over.
    public func upgrade(fields: [String: String] = [:]) throws -> RawWebSocketClient {
        try RawWebSocketClient(
            "/socket.io/?EIO=4&transport=websocket&sid=\(self.sid)\(self.query)", port: self.port,
            fields: fields)
    }

    /// Polls until so many packets have come.
    public func packets(_ count: Int) throws -> [String] {
        var packets: [String] = []
        while packets.count < count {
            let reply = try self.poll()
            guard reply.status == 200 else { throw TestFailure("\(reply)") }
            packets += reply.body.split(separator: "\u{1E}").map(String.init)
        }
        return packets
    }

    /// Comes into the main namespace.
    ///
    /// - Parameter token: nil for somebody without one.
    public func connectNamespace(token: String?) throws {
        let reply = try self.post(token.map { #"40{"token":"\#($0)"}"# } ?? "40")
        let packets = try self.packets(2)
        guard reply.body == "ok", packets[0].hasPrefix(#"40{"sid":""#),
            packets[1].hasPrefix(#"42["offset",""#)
        else {
            throw TestFailure("not let in: \(reply), \(packets)")
        }
    }
}
