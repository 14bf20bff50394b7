/// The type of a packet (Socket.IO protocol v5, "Packet types"). On the wire it is one digit.
public enum SocketPacketKind: UInt8, Sendable, Hashable {
    case connect, disconnect, event, ack, connectError, binaryEvent, binaryAck

    /// The first byte of a packet of this type.
    public var typeByte: UInt8 { UInt8(ascii: "0") + self.rawValue }

    var isBinary: Bool { self == .binaryEvent || self == .binaryAck }
}

/// A received packet up to its JSON: `<type>[<attachments>-][<namespace>,][<ack id>][<JSON>]`
/// (Socket.IO protocol v5, "Packet encoding").
///
/// Ranges refer to the parsed bytes. Numbers with leading zeros are rejected, so every packet has
/// one spelling.
public struct SocketPacket: Sendable, Hashable {
    /// The largest ack id: a JavaScript client counts exactly up to this number.
    public static let ackIDLimit = (1 << 53) - 1

    public let kind: SocketPacketKind
    /// The number of binary frames that follow; 0 for the other packet types.
    public let attachmentCount: Int
    /// The range of the namespace's name; nil for the main namespace, however it is written.
    public let namespace: Range<Int>?
    /// The id with which an acknowledgement must be sent, or the id that is acknowledged.
    public let ackID: Int?
    /// The range of the JSON, which is not parsed yet; nil if there is none.
    public let payload: Range<Int>?

    /// Parses a packet up to its JSON and checks that it has the parts of its type.
    public static func parse(_ text: RawSpan, limits: SocketLimits) throws(SocketPacketError)
        -> SocketPacket
    {
        var offset = 0
        guard let byte = Self.byte(offset, of: text) else { throw .empty }
        guard let kind = SocketPacketKind(rawValue: byte &- UInt8(ascii: "0")) else {
            throw .unknownType(byte)
        }
        offset += 1
        var attachmentCount = 0
        if kind.isBinary {
            guard let count = Self.number(&offset, of: text, through: limits.attachments),
                Self.byte(offset, of: text) == UInt8(ascii: "-")
            else { throw .badAttachmentCount(limit: limits.attachments) }
            attachmentCount = count
            offset += 1
        }
        let namespace = try Self.namespace(&offset, of: text, byteLimit: limits.namespaceBytes)
        var ackID: Int?
        if let byte = Self.byte(offset, of: text), Self.isDigit(byte) {
            guard let id = Self.number(&offset, of: text, through: Self.ackIDLimit) else {
                throw .badAckID
            }
            ackID = id
        }
        let payload = offset < text.byteCount ? offset..<text.byteCount : nil
        let packet = SocketPacket(
            kind: kind, attachmentCount: attachmentCount, namespace: namespace, ackID: ackID,
            payload: payload)
        try packet.checkParts()
        return packet
    }

    private func checkParts() throws(SocketPacketError) {
        switch self.kind {
        case .connect, .disconnect, .connectError:
            guard self.ackID == nil else { throw .unexpectedAckID }
        case .ack, .binaryAck:
            guard self.ackID != nil else { throw .missingAckID }
        case .event, .binaryEvent:
            break
        }
        switch self.kind {
        case .connect: break
        case .disconnect: guard self.payload == nil else { throw .unexpectedPayload }
        case .connectError, .event, .ack, .binaryEvent, .binaryAck:
            guard self.payload != nil else { throw .missingPayload }
        }
    }

    private static func byte(_ offset: Int, of text: RawSpan) -> UInt8? {
        offset < text.byteCount ? text.unsafeLoad(fromByteOffset: offset, as: UInt8.self) : nil
    }

    private static func isDigit(_ byte: UInt8) -> Bool {
        byte &- UInt8(ascii: "0") < 10
    }

    /// Parses the decimal number at `offset` and advances `offset`. Nil if there is no digit, if
    /// there is a leading zero, or if the number exceeds `limit`.
    private static func number(_ offset: inout Int, of text: RawSpan, through limit: Int) -> Int? {
        let start = offset
        var sum = 0
        while let byte = self.byte(offset, of: text), self.isDigit(byte) {
            // No overflow: the limit is far below Int.max, and parsing stops there.
            sum = sum * 10 + Int(byte - UInt8(ascii: "0"))
            guard sum <= limit else { return nil }
            offset += 1
        }
        guard offset > start, offset == start + 1 || self.byte(start, of: text) != UInt8(ascii: "0")
        else { return nil }
        return sum
    }

    /// Parses the namespace's name at `offset` and advances `offset` past it and its comma.
    private static func namespace(_ offset: inout Int, of text: RawSpan, byteLimit: Int)
        throws(SocketPacketError) -> Range<Int>?
    {
        guard self.byte(offset, of: text) == UInt8(ascii: "/") else { return nil }
        let start = offset
        while let byte = self.byte(offset, of: text), byte != UInt8(ascii: ",") {
            // The name is sent back to the client, where a record separator would split the packet.
            guard byte >= 0x20, byte != 0x7F else { throw .controlCharacterInNamespace }
            offset += 1
            guard offset - start <= byteLimit else { throw .namespaceTooLong(limit: byteLimit) }
        }
        let name = start..<offset
        if offset < text.byteCount { offset += 1 }
        return name.count == 1 ? nil : name
    }
}
