public import Bytes

/// A request from one node to another, its reply, or a message from a loop to a loop of another
/// node.
///
/// It travels through the same mailboxes as packets and differs from them in its first byte. Its
/// body is a text instead of records, because it is rare, and operators may have to read it. The
/// rules of `NodePacket` hold for it.
///
/// The layout:
///
///     marker         1 byte, which is not a version of a packet
///     kind           1 byte
///     from, to       8 bytes each, little-endian: the sender's and the receiver's incarnation
///     id             8 bytes: increases with each request of an incarnation; a reply repeats its
///                    request's id; 0 in a loop message
///     topic, body    texts, as in a packet
///     code           16 bytes, as in a packet
public struct ControlMessage: Sendable, Equatable {
    public enum Kind: UInt8, Sendable { case request = 1, reply = 2, loopMessage = 3 }

    public let kind: Kind
    /// The sender's incarnation.
    public let from: UInt64
    /// The receiver's incarnation.
    public let to: UInt64
    public let id: UInt64
    /// The name of the request; in a loop message, the receiving loop's number.
    public let topic: String
    /// The fields: `NodeRequest` and its reply as JSON, or the text of a `RemoteLoopMessage`. The
    /// receiver parses and validates it.
    public let body: String

    /// The maximum size of a whole message.
    public static let byteLimit = 1 << 20
    public static let topicByteLimit = 64

    static let marker = UInt8(ascii: "M")
    static let headerBytes = 26

    public init(_ kind: Kind, from: UInt64, to: UInt64, id: UInt64, topic: String, body: String) {
        self.kind = kind
        self.from = from
        self.to = to
        self.id = id
        self.topic = topic
        self.body = body
    }

    /// Whether bytes from a mailbox are a control message and not a packet.
    public static func isControlMessage(_ bytes: RawSpan) -> Bool {
        bytes.withUnsafeBytes { $0.first == Self.marker }
    }

    /// Whether it may be sent. A receiver rejects a longer one.
    public var isWithinLimits: Bool {
        self.topic.utf8.count <= Self.topicByteLimit
            && self.body.utf8.count <= Self.byteLimit - Self.headerBytes - 128
    }

    /// Appends the message with its authentication code.
    public func write(to buffer: inout ByteBuffer, key: ClusterKey) {
        let start = buffer.count
        buffer.append(Self.marker)
        buffer.append(self.kind.rawValue)
        buffer.append(incarnation: self.from)
        buffer.append(incarnation: self.to)
        buffer.append(incarnation: self.id)
        buffer.append(string: self.topic)
        buffer.append(string: self.body)
        key.seal(&buffer, from: start)
    }

    /// Reads a message that the node `receiver` received. All contents are copied out of `bytes`.
    public init(_ bytes: RawSpan, for receiver: UInt64, key: ClusterKey) throws(NodePacketError) {
        self = try bytes.withUnsafeBytes { bytes throws(NodePacketError) in
            guard bytes.count <= Self.byteLimit else { throw .tooLong(limit: Self.byteLimit) }
            guard bytes.count >= Self.headerBytes + NodePacket.codeBytes else { throw .tooShort }
            guard bytes[0] == Self.marker else { throw .unsupportedVersion(bytes[0]) }
            guard key.isSealed(bytes) else { throw .notAuthentic }
            let message = try Self(
                unsealed: UnsafeRawBufferPointer(rebasing: bytes.dropLast(NodePacket.codeBytes)))
            guard message.to == receiver else { throw .wrongReceiver(message.to) }
            return message
        }
    }

    private init(unsealed bytes: UnsafeRawBufferPointer) throws(NodePacketError) {
        guard let kind = Kind(rawValue: bytes[1]) else { throw .unknownFlags(bytes[1]) }
        func number(at offset: Int) -> UInt64 {
            UInt64(littleEndian: bytes.loadUnaligned(fromByteOffset: offset, as: UInt64.self))
        }
        var reader = WireReader(bytes, from: Self.headerBytes)
        let topic: String
        let body: String
        do throws(WireDecodingError) {
            topic = try reader.string()
            guard topic.utf8.count <= Self.topicByteLimit else { throw .malformed(.number) }
            body = try reader.string()
        } catch {
            guard case .malformed(let defect) = error else {
                preconditionFailure(
                    "an unknown kind while reading a text, at byte \(reader.position)")
            }
            throw .malformed(defect, at: reader.position)
        }
        self.init(
            kind, from: number(at: 2), to: number(at: 10), id: number(at: 18), topic: topic,
            body: body)
    }
}
