import Bytes
import HTTPWire

/// What was read, with the bytes copied out of the buffer.
enum Heard: Equatable {
    case text(String)
    case binary([UInt8])
    case ping([UInt8])
    case pong([UInt8])
    case close(UInt16?, String)
}

/// A reader with the buffer that a gateway would keep for it.
struct WebSocketPeer {
    var reader: WebSocketReader
    var limits = WebSocketLimits()
    let inflater = Inflater()
    private(set) var heard: [Heard] = []
    /// What has been received and not read.
    private(set) var kept: [UInt8] = []

    init(role: WebSocketReader.Role = .server, takesCompression: Bool = false, limits: WebSocketLimits = WebSocketLimits()) {
        self.reader = WebSocketReader(role: role, takesCompression: takesCompression)
        self.limits = limits
    }

    /// The error that these pieces bring, if any.
    mutating func error(receiving pieces: some Sequence<[UInt8]>) -> WebSocketError? {
        do {
            for piece in pieces { try self.receive(piece) }
            return nil
        } catch {
            return error
        }
    }

    mutating func receive(_ bytes: [UInt8]) throws(WebSocketError) {
        var buffer = self.kept + bytes
        var offset = 0
        while true {
            let result = buffer.withUnsafeMutableBytes { raw in
                Result { () throws(WebSocketError) in
                    try self.reader.next(in: raw, from: &offset, limits: self.limits, inflater: self.inflater)
                }
            }
            guard let input = try result.get() else { break }
            self.note(input, buffer)
        }
        self.kept = Array(buffer[offset...])
    }

    private mutating func note(_ input: WebSocketInput, _ buffer: [UInt8]) {
        func heard(_ kind: WebSocketMessageKind, _ bytes: [UInt8]) -> Heard {
            kind == .text ? .text(String(decoding: bytes, as: UTF8.self)) : .binary(bytes)
        }
        switch input {
        case .message(let kind, let place): self.heard.append(heard(kind, Array(buffer[place])))
        case .assembledMessage(let kind, let bytes): self.heard.append(heard(kind, bytes))
        case .inflatedMessage(let kind): self.heard.append(heard(kind, Array(self.inflater.output)))
        case .ping(let place): self.heard.append(.ping(Array(buffer[place])))
        case .pong(let place): self.heard.append(.pong(Array(buffer[place])))
        case .close(let code, let reason): self.heard.append(.close(code?.rawValue, String(decoding: buffer[reason], as: UTF8.self)))
        }
    }
}

/// A client's frame, masked.
func frame(
    _ opcode: WebSocketOpcode, _ payload: [UInt8], isFinal: Bool = true, isCompressed: Bool = false, mask: UInt32? = 0x7AFA_213D
) -> [UInt8] {
    var buffer = ByteBuffer()
    payload.withUnsafeBytes {
        buffer.append(webSocketFrame: opcode, payload: $0, isFinal: isFinal, isCompressed: isCompressed, mask: mask)
    }
    return buffer.bytes
}

func frame(_ opcode: WebSocketOpcode, _ text: String, isFinal: Bool = true) -> [UInt8] {
    frame(opcode, Array(text.utf8), isFinal: isFinal)
}

/// What is heard when these bytes come at once, or the error.
func hear(
    _ bytes: [UInt8], role: WebSocketReader.Role = .server, takesCompression: Bool = false, limits: WebSocketLimits = WebSocketLimits()
) -> Result<[Heard], WebSocketError> {
    var peer = WebSocketPeer(role: role, takesCompression: takesCompression, limits: limits)
    if let error = peer.error(receiving: [bytes]) { return .failure(error) }
    return .success(peer.heard)
}
