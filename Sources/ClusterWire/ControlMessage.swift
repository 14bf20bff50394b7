public import Bytes

/// A question that one node asks another for an operator, the answer to it, or a letter from loop to loop.
///
/// It goes through the same mailboxes as parcels, and its first byte tells it from them. What is said in it is JSON and not records: it is
/// rare, and nodes of two versions must understand as much of each other as there is.
///
/// The layout:
///
///     mark           1 byte, which is the version of no parcel
///     kind           1 byte
///     from, to       8 bytes each, lowest first: the incarnation that sends, and the one that it is for
///     id             8 bytes: rises with each question of an incarnation; that of an answer is its question's; 0 of a letter
///     topic, body    texts, as in a parcel
///     code           16 bytes, as in a parcel
public struct ControlMessage: Sendable, Equatable {
    public enum Kind: UInt8, Sendable { case request = 1, reply = 2, loopMessage = 3 }

    public let kind: Kind
    /// The incarnation that has sent it.
    public let from: UInt64
    /// The incarnation that it is for.
    public let to: UInt64
    public let id: UInt64
    /// What is asked; of a letter, the number of the loop that it is for.
    public let topic: String
    /// JSON, which who gets it has still to read.
    public let body: String

    /// A whole memo.
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

    /// Whether these bytes, from a mailbox, are to be read as a memo and not as a parcel.
    public static func isControlMessage(_ bytes: RawSpan) -> Bool {
        bytes.withUnsafeBytes { $0.first == Self.marker }
    }

    /// Whether it may be sent: its reader would refuse a longer one.
    public var isWithinLimits: Bool {
        self.topic.utf8.count <= Self.topicByteLimit
            && self.body.utf8.count <= Self.byteLimit - Self.headerBytes - 128
    }

    /// Appends the memo, sealed.
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

    /// Reads a memo that was received by the node `receiver`. Everything in it is copied out of `bytes`.
    public init(_ bytes: RawSpan, for receiver: UInt64, key: ClusterKey) throws(NodePacketError) {
        self = try bytes.withUnsafeBytes { bytes throws(NodePacketError) in
            guard bytes.count <= Self.byteLimit else { throw .tooLong(limit: Self.byteLimit) }
            guard bytes.count >= Self.headerBytes + NodePacket.codeBytes else { throw .tooShort }
            guard bytes[0] == Self.marker else { throw .unsupportedVersion(bytes[0]) }
            guard key.isSealed(bytes) else { throw .notAuthentic }
            let memo = try Self(
                unsealed: UnsafeRawBufferPointer(rebasing: bytes.dropLast(NodePacket.codeBytes)))
            guard memo.to == receiver else { throw .wrongReceiver(memo.to) }
            return memo
        }
    }

    private init(unsealed bytes: UnsafeRawBufferPointer) throws(NodePacketError) {
        guard let kind = Kind(rawValue: bytes[1]) else { throw .unknownFlags(bytes[1]) }
        func number(at place: Int) -> UInt64 {
            UInt64(littleEndian: bytes.loadUnaligned(fromByteOffset: place, as: UInt64.self))
        }
        var reader = WireReader(bytes, from: Self.headerBytes)
        let topic: String
        let body: String
        do throws(WireDecodingError) {
            topic = try reader.string()
            guard topic.utf8.count <= Self.topicByteLimit else { throw .malformed(.number) }
            body = try reader.string()
        } catch {
            guard case .malformed(let flaw) = error else {
                preconditionFailure("a text is of no kind, at byte \(reader.position)")
            }
            throw .malformed(flaw, at: reader.position)
        }
        self.init(
            kind, from: number(at: 2), to: number(at: 10), id: number(at: 18), topic: topic,
            body: body)
    }
}
