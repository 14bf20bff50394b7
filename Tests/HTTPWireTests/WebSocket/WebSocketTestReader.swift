import Bytes
import HTTPWire

/// A message or control frame, with its bytes copied out of the buffer.
enum ReceivedInput: Equatable {
    case text(String)
    case binary([UInt8])
    case ping([UInt8])
    case pong([UInt8])
    case close(UInt16?, String)
}

/// A reader with the unread bytes that a gateway would keep for it.
struct WebSocketTestReader {
    var reader: WebSocketReader
    var limits = WebSocketLimits()
    let inflater = Inflater()
    private(set) var received: [ReceivedInput] = []
    /// The bytes received but not read.
    private(set) var unread: [UInt8] = []

    init(
        role: WebSocketReader.EndpointRole = .server,
        acceptsCompression: Bool = false,
        limits: WebSocketLimits = WebSocketLimits()
    ) {
        self.reader = WebSocketReader(role: role, acceptsCompression: acceptsCompression)
        self.limits = limits
    }

    /// The error that these fragments cause, if any.
    mutating func error(receiving pieces: some Sequence<[UInt8]>) -> WebSocketError? {
        do {
            for piece in pieces { try self.receive(piece) }
            return nil
        } catch {
            return error
        }
    }

    mutating func receive(_ bytes: [UInt8]) throws(WebSocketError) {
        var buffer = self.unread + bytes
        var offset = 0
        while true {
            let result = buffer.withUnsafeMutableBytes { raw in
                Result { () throws(WebSocketError) in
                    try self.reader.next(
                        in: raw, from: &offset, limits: self.limits, inflater: self.inflater)
                }
            }
            guard let input = try result.get() else { break }
            self.record(input, buffer)
        }
        self.unread = Array(buffer[offset...])
    }

    private mutating func record(_ input: WebSocketInput, _ buffer: [UInt8]) {
        func message(_ kind: WebSocketMessageKind, _ bytes: [UInt8]) -> ReceivedInput {
            kind == .text ? .text(String(decoding: bytes, as: UTF8.self)) : .binary(bytes)
        }
        switch input {
        case .message(let kind, let range):
            self.received.append(message(kind, Array(buffer[range])))
        case .fragment: break
        case .assembledMessage(let kind, let bytes): self.received.append(message(kind, bytes))
        case .inflatedMessage(let kind):
            self.received.append(message(kind, Array(self.inflater.output)))
        case .ping(let range): self.received.append(.ping(Array(buffer[range])))
        case .pong(let range): self.received.append(.pong(Array(buffer[range])))
        case .close(let code, let reason):
            self.received.append(
                .close(code?.rawValue, String(decoding: buffer[reason], as: UTF8.self)))
        }
    }
}

/// A masked frame, as a client sends it.
func frame(
    _ opcode: WebSocketOpcode, _ payload: [UInt8], isFinal: Bool = true, isCompressed: Bool = false,
    mask: UInt32? = 0x7AFA_213D
) -> [UInt8] {
    var buffer = ByteBuffer()
    payload.withUnsafeBytes {
        buffer.append(
            webSocketFrame: opcode, payload: $0, isFinal: isFinal, isCompressed: isCompressed,
            mask: mask)
    }
    return buffer.bytes
}

func frame(_ opcode: WebSocketOpcode, _ text: String, isFinal: Bool = true) -> [UInt8] {
    frame(opcode, Array(text.utf8), isFinal: isFinal)
}

/// Reads bytes that arrive at once. Returns the inputs or the error.
func readFrames(
    _ bytes: [UInt8], role: WebSocketReader.EndpointRole = .server,
    acceptsCompression: Bool = false, limits: WebSocketLimits = WebSocketLimits()
) -> Result<[ReceivedInput], WebSocketError> {
    var peer = WebSocketTestReader(
        role: role, acceptsCompression: acceptsCompression, limits: limits)
    if let error = peer.error(receiving: [bytes]) { return .failure(error) }
    return .success(peer.received)
}
