/// A WebSocket client that shares no code with the server. It sends every frame as specified, valid
/// or not.
public final class RawWebSocketClient {
    /// An event from the server. Pings are answered and not reported.
    public enum Event: Sendable, Equatable {
        case text(String)
        case binary([UInt8])
        case pong([UInt8])
        case close(code: UInt16?, reason: String)
        /// The connection ended without a close frame.
        case end
    }

    public let stream: ByteStream
    /// The response to the upgrade request.
    public let reply: HTTPReply
    private var answersPings = true

    // The key and accept value of RFC 6455 section 1.3. Every connection uses them, so the client
    // needs no SHA-1.
    private static let key = "dGhlIHNhbXBsZSBub25jZQ=="
    private static let accept = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="

    /// Connects and upgrades; throws if the server refuses the upgrade.
    public convenience init(
        _ path: String, port: UInt16, fields: [String: String] = [:], receiveBytes: Int32? = nil,
        within time: Duration = Deadline.defaultTimeout
    ) throws {
        let (stream, reply) = try HTTPReply.fromNode(within: time) {
            let stream = try ByteStream(port: port, receiveBytes: receiveBytes)
            try Self.requestUpgrade(path, port: port, fields: fields, on: stream)
            return stream
        }
        try self.init(stream, reply)
    }

    /// Waits for the response to an upgrade request; throws if the server refuses the upgrade.
    public convenience init(
        upgradeRequestedOn stream: ByteStream, within time: Duration = Deadline.defaultTimeout
    ) throws {
        try self.init(stream, HTTPReply(from: stream, within: time))
    }

    private init(_ stream: ByteStream, _ reply: HTTPReply) throws {
        guard reply.status == 101, reply.fields["sec-websocket-accept"] == Self.accept else {
            throw TestFailure("the upgrade was refused: \(reply.status) \(reply.body)")
        }
        self.stream = stream
        self.reply = reply
    }

    /// The response to an upgrade request that the server must refuse.
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

    /// Sends an upgrade request without waiting for the response.
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

    /// Sends one frame, masked as RFC 6455 requires of clients.
    public func send(opcode: UInt8, _ payload: [UInt8] = [], isFinal: Bool = true) throws {
        try self.stream.send(Self.frame(opcode: opcode, payload, isFinal: isFinal))
    }

    /// The bytes of a frame, for a test that sends several at once or in pieces.
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
        frame += [0x37, 0xFA, 0x21, 0x3D]
        // Eight bytes at a time, because tests are not optimised, and some send megabytes.
        let mask = UInt64(littleEndian: 0x3D21_FA37_3D21_FA37)
        var masked = payload + [UInt8](repeating: 0, count: 7)
        masked.withUnsafeMutableBytes { bytes in
            for offset in stride(from: 0, to: payload.count, by: 8) {
                let word = bytes.loadUnaligned(fromByteOffset: offset, as: UInt64.self)
                bytes.storeBytes(of: word ^ mask, toByteOffset: offset, as: UInt64.self)
            }
        }
        return frame + masked.prefix(payload.count)
    }

    /// Performs the close handshake of RFC 6455.
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

    /// Closes the TCP connection without a close frame.
    public func dropConnection() { self.stream.close() }

    /// Leaves further pings unanswered.
    public func stopAnsweringPings() { self.answersPings = false }

    /// The next event.
    public func next(within time: Duration = Deadline.defaultTimeout) throws -> Event {
        let deadline = Deadline(within: time)
        while true {
            guard let (opcode, payload) = try self.nextFrame(deadline) else { return .end }
            if let event = try self.event(opcode, payload) { return event }
        }
    }

    /// The next event; nil if none arrives in time.
    public func nextIfAny(within time: Duration) throws -> Event? {
        let deadline = Deadline(within: time)
        while self.stream.isReadable(within: deadline.remaining) {
            // The rest of a frame must follow quickly after its start.
            guard let (opcode, payload) = try self.nextFrame(Deadline()) else {
                return .end
            }
            if let event = try self.event(opcode, payload) { return event }
        }
        return nil
    }

    /// The event of a frame; nil for a ping.
    private func event(_ opcode: UInt8, _ payload: [UInt8]) throws -> Event? {
        switch opcode {
        case 1: return .text(String(decoding: payload, as: UTF8.self))
        case 2: return .binary(payload)
        case 8:
            // The server waits for the answer before it closes the connection.
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

    /// Reads one frame. The server never fragments messages, so a frame is a message.
    private func nextFrame(_ deadline: Deadline) throws -> (opcode: UInt8, payload: [UInt8])? {
        var byteCount = 2
        while true {
            let bytes = try self.stream.peek(atLeast: byteCount, within: deadline.remaining)
            guard bytes.count >= byteCount else { return nil }
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
                byteCount = headerCount
                continue
            }
            guard bytes.count >= headerCount + length else {
                byteCount = headerCount + length
                continue
            }
            let payload = Array(bytes.dropFirst(headerCount).prefix(length))
            let opcode = bytes[first] & 0x0F
            self.stream.consume(headerCount + length)
            return (opcode, payload)
        }
    }
}
