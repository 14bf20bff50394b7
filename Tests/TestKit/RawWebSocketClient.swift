/// A WebSocket client that shares no code with the server: it sends every frame exactly as it is told, right or wrong.
public final class RawWebSocketClient {
    /// What the server sent. Pings are answered on the way and not shown.
    public enum Event: Sendable, Equatable {
        case text(String)
        case binary([UInt8])
        case pong([UInt8])
        case close(code: UInt16?, reason: String)
        /// The connection is gone, without another frame.
        case end
    }

    public let stream: ByteStream
    /// The response to the upgrade.
    public let reply: HTTPReply
    private var answersPings = true

    // The key and its answer of RFC 6455 section 1.3: right for every connection, and no SHA-1 is needed to check it.
    private static let key = "dGhlIHNhbXBsZSBub25jZQ=="
    private static let accept = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="

    /// Makes the upgrade; throws when it is refused.
    public convenience init(
        _ path: String, port: UInt16, fields: [String: String] = [:], receiveBytes: Int32? = nil,
        within time: Duration = Deadline.defaultTimeout
    ) throws {
        let stream = try ByteStream(port: port, receiveBytes: receiveBytes)
        try Self.requestUpgrade(path, port: port, fields: fields, on: stream)
        try self.init(upgradeRequestedOn: stream, within: time)
    }

    /// Waits for the answer to an upgrade that was asked for; throws when it is refused.
    public init(
        upgradeRequestedOn stream: ByteStream, within time: Duration = Deadline.defaultTimeout
    ) throws {
        let reply = try HTTPReply(from: stream, within: time)
        guard reply.status == 101, reply.fields["sec-websocket-accept"] == Self.accept else {
            throw TestFailure("the upgrade was refused: \(reply.status) \(reply.body)")
        }
        self.stream = stream
        self.reply = reply
    }

    /// The response to an upgrade that should be refused.
    public static func refusal(of path: String, port: UInt16, fields: [String: String] = [:]) throws
        -> HTTPReply
    {
        let stream = try ByteStream(port: port)
        try self.requestUpgrade(path, port: port, fields: fields, on: stream)
        let reply = try HTTPReply(from: stream, within: Deadline.defaultTimeout)
        guard reply.status != 101 else {
            throw TestFailure("the upgrade of \(path) was not refused")
        }
        return reply
    }

    /// Asks for the upgrade, and waits for nothing.
    public static func requestUpgrade(
        _ path: String, port: UInt16, fields: [String: String] = [:], on stream: ByteStream
    ) throws {
        var all = [
            "Host": "127.0.0.1:\(port)", "Connection": "Upgrade", "Upgrade": "websocket",
            "Sec-WebSocket-Version": "13",
            "Sec-WebSocket-Key": Self.key,
        ]
        all.merge(fields) { $1 }
        try stream.send(
            "GET \(path) HTTP/1.1\r\n" + all.map { "\($0.key): \($0.value)\r\n" }.joined() + "\r\n")
    }

    public func send(_ text: String) throws {
        try self.send(opcode: 1, Array(text.utf8))
    }

    /// Sends one frame, masked as a client must.
    public func send(opcode: UInt8, _ payload: [UInt8] = [], isFinal: Bool = true) throws {
        try self.stream.send(Self.frame(opcode: opcode, payload, isFinal: isFinal))
    }

    /// A frame as bytes, to be sent together with others or cut in pieces.
    public static func frame(opcode: UInt8, _ payload: [UInt8] = [], isFinal: Bool = true)
        -> [UInt8]
    {
        var frame: [UInt8] = [(isFinal ? 0x80 : 0) | opcode]
        switch payload.count {
        case ..<126: frame.append(0x80 | UInt8(payload.count))
        case ..<65_536: frame += [0xFE, UInt8(payload.count >> 8), UInt8(payload.count & 0xFF)]
        default:
            frame +=
                [0xFF]
                + (0..<8).reversed().map { UInt8(truncatingIfNeeded: payload.count >> ($0 * 8)) }
        }
        let mask: [UInt8] = [0x37, 0xFA, 0x21, 0x3D]
        frame += mask
        for (place, byte) in payload.enumerated() { frame.append(byte ^ mask[place & 3]) }
        return frame
    }

    /// Ends the connection as RFC 6455 wants it, and waits for the server to do the same.
    public func close(_ code: UInt16 = 1000) throws {
        try self.send(opcode: 8, [UInt8(code >> 8), UInt8(code & 0xFF)])
        let deadline = Deadline()
        while true {
            switch try self.next(within: deadline.remaining) {
            case .close, .end: return
            default: continue
            }
        }
    }

    /// Vanishes without a word.
    public func dropConnection() { self.stream.close() }

    /// From now on pings are left unanswered.
    public func stopAnsweringPings() { self.answersPings = false }

    /// What comes next.
    public func next(within time: Duration = Deadline.defaultTimeout) throws -> Event {
        let deadline = Deadline(within: time)
        while true {
            guard let (opcode, payload) = try self.nextFrame(deadline) else { return .end }
            if let event = try self.event(opcode, payload) { return event }
        }
    }

    /// What comes next, if anything comes in that time: for who has something else to do meanwhile.
    public func nextIfAny(within time: Duration) throws -> Event? {
        let deadline = Deadline(within: time)
        while self.stream.isReadable(within: deadline.remaining) {
            // The rest of a frame comes soon after its beginning, or the server stands still.
            guard let (opcode, payload) = try self.nextFrame(Deadline(within: .seconds(5))) else {
                return .end
            }
            if let event = try self.event(opcode, payload) { return event }
        }
        return nil
    }

    /// Nil for what is of no interest to a test.
    private func event(_ opcode: UInt8, _ payload: [UInt8]) throws -> Event? {
        switch opcode {
        case 1: return .text(String(decoding: payload, as: UTF8.self))
        case 2: return .binary(payload)
        case 8:
            // Answered at once: the server waits for it before it closes the connection.
            try? self.send(opcode: 8, Array(payload.prefix(2)))
            let code = payload.count >= 2 ? UInt16(payload[0]) << 8 | UInt16(payload[1]) : nil
            return .close(code: code, reason: String(decoding: payload.dropFirst(2), as: UTF8.self))
        case 9:
            if self.answersPings { try self.send(opcode: 10, payload) }
            return nil
        case 10: return .pong(payload)
        default: throw TestFailure("the server sent a frame with opcode \(opcode)")
        }
    }

    /// The server never fragments: whatever it sends is one frame.
    private func nextFrame(_ deadline: Deadline) throws -> (opcode: UInt8, payload: [UInt8])? {
        var wanted = 2
        while true {
            let bytes = try self.stream.peek(atLeast: wanted, within: deadline.remaining)
            guard bytes.count >= wanted else { return nil }
            let first = bytes.startIndex
            guard bytes[first] & 0xF0 == 0x80, bytes[first + 1] & 0x80 == 0 else {
                throw TestFailure(
                    "the server sent a frame that it must not send: \(Array(bytes.prefix(2)))")
            }
            let short = Int(bytes[first + 1] & 0x7F)
            let headerCount = short == 126 ? 4 : short == 127 ? 10 : 2
            let length =
                short < 126
                ? short : bytes.dropFirst(2).prefix(headerCount - 2).reduce(0) { $0 << 8 | Int($1) }
            guard bytes.count >= headerCount else {
                wanted = headerCount
                continue
            }
            guard bytes.count >= headerCount + length else {
                wanted = headerCount + length
                continue
            }
            let payload = Array(bytes.dropFirst(headerCount).prefix(length))
            let opcode = bytes[first] & 0x0F
            self.stream.consume(headerCount + length)
            return (opcode, payload)
        }
    }
}
