import Bytes
import ChatModel
import Cluster

@testable import ClusterWire

/// What must hold of any bytes that come as a parcel: fed by the fuzzer (`script/fuzz parcel`) and by the corpus in the ordinary tests.
/// A check that fails stops the process.
enum PacketProperty {
    private static let key = ClusterKey(secret: [UInt8](repeating: 7, count: 32))!

    /// - Parameter bytes: the parcel up to its code.
    /// - Returns: whether it is one.
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
        // The second time every name is known.
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
