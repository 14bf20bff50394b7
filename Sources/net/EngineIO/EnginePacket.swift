public import Bytes

/// The type of a packet (Engine.IO protocol v4, "Packet types"). On the wire it is one digit.
public enum EnginePacketKind: UInt8, Sendable, Hashable {
    case open, close, ping, pong, message, upgrade, noop

    /// The first byte of a packet of this type.
    public var typeByte: UInt8 { UInt8(ascii: "0") + self.rawValue }
}

/// A received packet: its type and the range of its data.
public struct EnginePacket: Sendable, Hashable {
    public let kind: EnginePacketKind
    /// Whether the data is binary: base64 after the letter `b` in a polling payload. Only messages
    /// can be binary.
    public let isBinary: Bool
    /// The range of the data after the type byte, in the bytes that were parsed. The base64 of a
    /// binary packet is not decoded.
    public let data: Range<Int>

    /// Parses one text packet: a WebSocket frame, or the bytes between two separators of a payload.
    ///
    /// - Parameter range: the range of the packet in `bytes`. The caller checks that the bytes are
    ///   UTF-8.
    public static func parse(_ range: Range<Int>, of bytes: RawSpan) throws(EnginePacketError)
        -> EnginePacket
    {
        guard let first = range.first else { throw .empty }
        let byte = bytes.unsafeLoad(fromByteOffset: first, as: UInt8.self)
        let data = first + 1..<range.upperBound
        if byte == UInt8(ascii: "b") {
            return EnginePacket(kind: .message, isBinary: true, data: data)
        }
        guard let kind = EnginePacketKind(rawValue: byte &- UInt8(ascii: "0")) else {
            throw .unknownType(byte)
        }
        return EnginePacket(kind: kind, isBinary: false, data: data)
    }
}

/// Why bytes are not acceptable packets.
public enum EnginePacketError: Error, Sendable, Hashable, CustomStringConvertible {
    /// The type byte is missing.
    case empty
    /// The first byte, which is not a packet type.
    case unknownType(UInt8)
    case notUTF8
    case tooManyPackets(limit: Int)

    public var description: String {
        switch self {
        case .empty: "a packet is empty; its first letter must be its type"
        case .unknownType(let byte):
            "a packet's type must be a digit from 0 to 6 or the letter b, and is the byte \(byte)"
        case .notUTF8: "the packets are not UTF-8"
        case .tooManyPackets(let limit): "a payload has more than \(limit) packets"
        }
    }
}

extension ByteBuffer {
    /// Appends the start of a text packet. The data follows it.
    public mutating func append(enginePacket kind: EnginePacketKind) {
        self.append(kind.typeByte)
    }
}
