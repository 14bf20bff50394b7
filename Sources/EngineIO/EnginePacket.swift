public import Bytes

/// What a packet is for (Engine.IO protocol v4, "Packet types"); its letter is the digit of its number.
public enum EnginePacketKind: UInt8, Sendable, Hashable {
    case open, close, ping, pong, message, upgrade, noop

    /// The letter that a packet of this kind begins with.
    public var typeByte: UInt8 { UInt8(ascii: "0") + self.rawValue }
}

/// A packet as it was received: what it is, and where its data lies.
public struct EnginePacket: Sendable, Hashable {
    /// What it is for.
    public let kind: EnginePacketKind
    /// Whether the data is binary: in a polling payload, base64 behind the letter `b`. Only messages are.
    public let isBinary: Bool
    /// Behind the type's letter, counted in the bytes that were read. Of a binary packet: its base64, which nobody has looked at.
    public let data: Range<Int>

    /// Reads one packet as text: a frame of a WebSocket, or what stands between two separators of a payload.
    ///
    /// - Parameter place: where the packet lies in `bytes`. Whether they are UTF-8 is for the caller to know.
    public static func parse(_ place: Range<Int>, of bytes: RawSpan) throws(EnginePacketError)
        -> EnginePacket
    {
        guard let first = place.first else { throw .empty }
        let letter = bytes.unsafeLoad(fromByteOffset: first, as: UInt8.self)
        let data = first + 1..<place.upperBound
        if letter == UInt8(ascii: "b") {
            return EnginePacket(kind: .message, isBinary: true, data: data)
        }
        guard let kind = EnginePacketKind(rawValue: letter &- UInt8(ascii: "0")) else {
            throw .unknownType(letter)
        }
        return EnginePacket(kind: kind, isBinary: false, data: data)
    }
}

/// Why bytes are no packets that we take.
public enum EnginePacketError: Error, Sendable, Hashable, CustomStringConvertible {
    /// There is no letter that says what the packet is.
    case empty
    /// The first letter is no type of packet; it is this byte.
    case unknownType(UInt8)
    case notUTF8
    case tooManyPackets(limit: Int)

    public var description: String {
        switch self {
        case .empty: "a packet is empty; its first letter must be its type"
        case .unknownType(let letter):
            "a packet's type must be a digit from 0 to 6 or the letter b, and is the byte \(letter)"
        case .notUTF8: "the packets are not UTF-8"
        case .tooManyPackets(let limit): "a payload has more than \(limit) packets"
        }
    }
}

extension ByteBuffer {
    /// The beginning of a packet as text; its data goes behind it.
    public mutating func append(enginePacket kind: EnginePacketKind) {
        self.append(kind.typeByte)
    }
}
