import Bytes
import ChatEngine
import ChatModel

@testable import ClusterWire

/// Properties that hold for arbitrary bytes in place of a packet. The fuzzer (`script/fuzz packet`)
/// generates them, and a test checks its corpus. A failed check ends the process.
enum PacketProperty {
    private static let key = ClusterKey(secret: [UInt8](repeating: 7, count: 32))!

    /// - Parameter bytes: a packet without its authentication code.
    /// - Returns: whether it is valid.
    @discardableResult
    static func check(_ bytes: [UInt8]) -> Bool {
        var interning = KeyInterning()
        precondition(
            bytes.withUnsafeBytes {
                (try? NodePacket($0.bytes, for: 0, key: self.key, interning: &interning)) == nil
            },
            "a packet without a code was accepted")
        guard let packet = self.read(bytes, &interning) else { return false }
        let written = self.write(packet)
        // The second time, every key is interned.
        guard let again = self.read(written, &interning) else {
            preconditionFailure("what was read cannot be read again once it is written")
        }
        precondition(
            again.unknownItemCount == 0 && again.envelopes.count == packet.envelopes.count,
            "something was lost in writing")
        precondition(
            self.write(again) == written, "what was read is written otherwise the second time")
        for envelope in packet.envelopes {
            precondition(
                envelope.from.incarnation == packet.from && envelope.to.incarnation == packet.to,
                "an envelope of other nodes")
        }
        return true
    }

    private static func read(_ bytes: [UInt8], _ interning: inout KeyInterning) -> NodePacket? {
        bytes.withUnsafeBytes { try? NodePacket(unsealed: $0, interning: &interning) }
    }

    private static func write(_ packet: NodePacket) -> [UInt8] {
        var buffer = ByteBuffer()
        let writer = NodePacketWriter(from: packet.from, to: packet.to, in: &buffer)
        for envelope in packet.envelopes {
            precondition(writer.append(envelope, to: &buffer), "it has become too long")
        }
        return buffer.bytes
    }
}
