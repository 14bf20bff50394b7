/// What a packet is for (Socket.IO protocol v5, "Packet types"); its first letter is the digit of its number.
public enum SocketPacketKind: UInt8, Sendable, Hashable {
    case connect, disconnect, event, ack, connectError, binaryEvent, binaryAck

    /// The letter that a packet of this kind begins with.
    public var typeByte: UInt8 { UInt8(ascii: "0") + self.rawValue }

    var isBinary: Bool { self == .binaryEvent || self == .binaryAck }
}

/// A packet as it was received, up to its JSON: `<type>[<attachments>-][<namespace>,][<ack id>][<JSON>]` (Socket.IO protocol v5,
/// "Packet encoding").
///
/// Places are counted in the bytes that were read. What has two spellings (a number with leading zeros) is refused.
public struct SocketPacket: Sendable, Hashable {
    /// The greatest ack id: what a JavaScript client counts up to without skipping one.
    public static let ackIDLimit = (1 << 53) - 1

    /// What it is for.
    public let kind: SocketPacketKind
    /// How many binary frames follow; 0 for a packet that is none of the binary ones.
    public let attachmentCount: Int
    /// Where the namespace's name lies; nil for the main one, however it is written.
    public let namespace: Range<Int>?
    /// What the answer to it is to be numbered with, or what it answers.
    public let ackID: Int?
    /// Where its JSON lies, of which nothing has been looked at; nil when there is none.
    public let payload: Range<Int>?

    /// Reads a packet up to its JSON, and checks that it has what packets of its kind have.
    public static func parse(_ text: RawSpan, limits: SocketLimits) throws(SocketPacketError)
        -> SocketPacket
    {
        var offset = 0
        guard let letter = Self.byte(offset, of: text) else { throw .empty }
        guard let kind = SocketPacketKind(rawValue: letter &- UInt8(ascii: "0")) else {
            throw .unknownType(letter)
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
        if let letter = Self.byte(offset, of: text), Self.isDigit(letter) {
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

    private static func isDigit(_ letter: UInt8) -> Bool {
        letter &- UInt8(ascii: "0") < 10
    }

    /// The number in decimal digits at `offset`, which goes behind it; nil when there is none, when it begins with a zero that it does
    /// not need, and above `limit`.
    private static func number(_ offset: inout Int, of text: RawSpan, through limit: Int) -> Int? {
        let start = offset
        var sum = 0
        while let letter = self.byte(offset, of: text), self.isDigit(letter) {
            // The limit is far below what an Int holds, and no digit is read behind it.
            sum = sum * 10 + Int(letter - UInt8(ascii: "0"))
            guard sum <= limit else { return nil }
            offset += 1
        }
        guard offset > start, offset == start + 1 || self.byte(start, of: text) != UInt8(ascii: "0")
        else { return nil }
        return sum
    }

    /// A namespace's name at `offset`, which goes behind it and its comma.
    private static func namespace(_ offset: inout Int, of text: RawSpan, byteLimit: Int)
        throws(SocketPacketError) -> Range<Int>?
    {
        guard self.byte(offset, of: text) == UInt8(ascii: "/") else { return nil }
        let start = offset
        while let letter = self.byte(offset, of: text), letter != UInt8(ascii: ",") {
            // It is said back to the client, where a record separator would make two packets of one.
            guard letter >= 0x20, letter != 0x7F else { throw .controlCharacterInNamespace }
            offset += 1
            guard offset - start <= byteLimit else { throw .namespaceTooLong(limit: byteLimit) }
        }
        let name = start..<offset
        if offset < text.byteCount { offset += 1 }
        return name.count == 1 ? nil : name
    }
}
