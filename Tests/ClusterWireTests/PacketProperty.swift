import Bytes
import ChatModel
import Cluster

@testable import ClusterWire

/// Properties that hold for arbitrary bytes in place of a packet. The fuzzer (`script/fuzz parcel`)
/// generates them, and a test checks its corpus. A failed check ends the process.
enum PacketProperty {
    private static let key = ClusterKey(secret: [UInt8](repeating: 7, count: 32))!

    /// - Parameter bytes: a packet without its authentication code.
    /// - Returns: whether it is valid.
    @discardableResult
    static func check(_ bytes: [UInt8]) -> Bool {
        var known = KeyInterning()
        precondition(
            bytes.withUnsafeBytes {
                (try? NodePacket($0.bytes, for: 0, key: self.key, interning: &known)) == nil
            },
            "a parcel without a code was accepted")
        guard let parcel = self.read(bytes, &known) else { return false }
        let written = self.write(parcel)
        // The second time, every key is interned.
        guard let again = self.read(written, &known) else {
            preconditionFailure("what was read cannot be read again once it is written")
        }
        precondition(
            again.unknownItemCount == 0 && again.envelopes.count == parcel.envelopes.count,
            "something was lost in writing")
        precondition(
            self.write(again) == written, "what was read is written otherwise the second time")
        for envelope in parcel.envelopes {
            precondition(
                envelope.from.incarnation == parcel.from && envelope.to.incarnation == parcel.to,
                "an envelope of other nodes")
        }
        return true
    }

    private static func read(_ bytes: [UInt8], _ known: inout KeyInterning) -> NodePacket? {
        bytes.withUnsafeBytes { try? NodePacket(unsealed: $0, interning: &known) }
    }

    private static func write(_ parcel: NodePacket) -> [UInt8] {
        var buffer = ByteBuffer()
        let writer = NodePacketWriter(from: parcel.from, to: parcel.to, in: &buffer)
        for envelope in parcel.envelopes {
            precondition(writer.append(envelope, to: &buffer), "it has become too long")
        }
        return buffer.bytes
    }
}
