import Bytes
import ChatEngine
import ChatModel

@testable import ClusterWire

/// The complete contents of a value as text, so that two values with equal texts are equal byte by
/// byte.
func dumpText(_ value: Any) -> String {
    switch value {
    // Strings with different Unicode encodings can be equal.
    case let text as String: return "\(Array(text.utf8))"
    case let text as ByteString: return "\(Array(text.string.utf8))"
    case let number as any BinaryInteger: return "\(number)"
    case let number as Double: return "\(number)"
    default: break
    }
    let mirror = Mirror(reflecting: value)
    let children = mirror.children.map { "\($0.label ?? ""): \(dumpText($0.value))" }
    let inside = (mirror.displayStyle == .set ? children.sorted() : children).joined(
        separator: ", ")
    return mirror.displayStyle == .enum && children.isEmpty
        ? "\(value)" : "\(mirror.subjectType)(\(inside))"
}

extension NodePacket {
    /// Envelopes from the first one's sender to its receiver.
    static func bytes(_ envelopes: [Envelope], key: ClusterKey = .sample) -> [UInt8] {
        var buffer = ByteBuffer()
        let writer = NodePacketWriter(
            from: LoopID.near.incarnation, to: LoopID.far.incarnation, in: &buffer)
        for envelope in envelopes {
            precondition(writer.append(envelope, to: &buffer), "the packet is full")
        }
        writer.seal(with: key, in: &buffer)
        return buffer.bytes
    }

    /// A packet with one envelope whose fields the test writes.
    static func unsealed(_ write: (inout ByteBuffer) -> Void) -> [UInt8] {
        var buffer = ByteBuffer()
        _ = NodePacketWriter(from: LoopID.near.incarnation, to: LoopID.far.incarnation, in: &buffer)
        let start = buffer.openRecord()
        write(&buffer)
        buffer.closeRecord(from: start)
        return buffer.bytes
    }

    init(unsealed bytes: [UInt8]) throws(NodePacketError) {
        var interning = KeyInterning()
        self = try bytes.span.bytes.withUnsafeBytes { bytes throws(NodePacketError) in
            try NodePacket(unsealed: bytes, interning: &interning)
        }
    }

    static func read(
        _ bytes: [UInt8], for receiver: UInt64 = LoopID.far.incarnation, key: ClusterKey = .sample
    ) throws(NodePacketError)
        -> NodePacket
    {
        var interning = KeyInterning()
        return try NodePacket(bytes.span.bytes, for: receiver, key: key, interning: &interning)
    }
}

extension Envelope {
    static func carrying(_ items: [Item], number: UInt64 = 1) -> Envelope {
        Envelope(from: .near, to: .far, number: number, view: 3, items: items)
    }
}
