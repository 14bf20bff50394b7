public import Bytes
internal import ChatModel
public import Cluster

/// Writes one parcel behind what a buffer holds already.
///
/// Begin it, append envelopes, and seal it; nothing else may be written into the buffer meanwhile. Once the buffer is warm, that allocates
/// nothing.
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
    /// - Returns: whether there was room for it; if not, it belongs into the next parcel. One for which an empty parcel has no room is
    ///   the caller's to drop, as mail that is lost.
    public func append(_ envelope: borrowing Envelope, to buffer: inout ByteBuffer) -> Bool {
        precondition(
            envelope.from.incarnation == self.from && envelope.to.incarnation == self.to,
            "an envelope from \(envelope.from) to \(envelope.to) in a parcel of other nodes")
        let end = buffer.count
        buffer.append(envelope: envelope)
        guard buffer.count - self.start + NodePacket.codeBytes <= NodePacket.byteLimit else {
            buffer.truncate(to: end)
            return false
        }
        return true
    }

    /// The parcel is whole: from where it was begun to the buffer's end.
    public func seal(with key: ClusterKey, in buffer: inout ByteBuffer) {
        key.seal(&buffer, from: self.start)
    }
}
