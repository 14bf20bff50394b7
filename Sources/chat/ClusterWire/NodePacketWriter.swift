public import Bytes
public import ChatEngine
internal import ChatModel

/// Writes one packet at the end of a buffer.
///
/// Create it, append envelopes, and seal the packet; write nothing else to the buffer in between.
/// With a buffer of sufficient capacity, no memory is allocated.
public struct NodePacketWriter: Sendable {
    private let from: UInt64
    private let to: UInt64
    private let start: Int

    public init(from: UInt64, to: UInt64, in buffer: inout ByteBuffer) {
        self.from = from
        self.to = to
        self.start = buffer.count
        buffer.append(NodePacket.version)
        buffer.append(0)
        buffer.append(incarnation: from)
        buffer.append(incarnation: to)
    }

    /// Appends an envelope from a loop of the sender to a loop of the receiver.
    ///
    /// - Returns: whether the envelope fit; if not, it belongs in the next packet. The caller drops
    ///   an envelope that does not fit in an empty packet, as a lost one.
    public func append(_ envelope: borrowing Envelope, to buffer: inout ByteBuffer) -> Bool {
        precondition(
            envelope.from.incarnation == self.from && envelope.to.incarnation == self.to,
            "an envelope from \(envelope.from) to \(envelope.to) in a packet between other nodes")
        let end = buffer.count
        buffer.append(envelope: envelope)
        guard buffer.count - self.start + NodePacket.codeBytes <= NodePacket.byteLimit else {
            buffer.truncate(to: end)
            return false
        }
        return true
    }

    /// Completes the packet with its authentication code.
    public func seal(with key: ClusterKey, in buffer: inout ByteBuffer) {
        key.seal(&buffer, from: self.start)
    }
}
