import Bytes
import ChatCore
import ChatEngine
import ChatModel
import Testing

@testable import ClusterWire

/// A failing test here means that the layout has changed. Nodes of a released version must read
/// the packets of this one: `NodePacket` has the rules.
@Suite("The layout of a packet")
struct PacketLayoutTests {
    @Test("is unchanged, byte by byte")
    func bytes() throws {
        let notification = Envelope.EventNotification(
            conversation: .lobby, event: .posted(.plain), revision: 2,
            answering: RequestID(rawValue: 5 << 32),
            feedSlot: 4)
        let packet = NodePacket.bytes([
            .carrying([.event(notification), .resynchronize], number: 300),
            .carrying([], number: 300),
        ])
        // Version and flags, the two nodes, the first envelope.
        let layout =
            "0100" + "efcdab8967452301ffffffffffffffff" + "4901ac02ac020302"
            // An event: its conversation, `posted`, the message, its body, its author, the
            // remaining fields.
            + "3f04" + "0e0764656661756c74056c6f626279" + "2702" + "250102f6a1abfef96200"
            + "1a" + "0d05616c69636505416c69636500" + "03743106" + "48656c6c6f21" + "00" + "00"
            + "00"
            + "02808080805005"
            // Another item, the tick, the code.
            + "0106" + "0701ac02ac020300" + "fa73c6a74518a3db397381763beeebb5"
        #expect(Hex.encode(packet) == layout)
    }

    @Test("is unchanged for every kind of item")
    func everyKindOfItem() {
        let hash = NodePacket.bytes(Samples.envelopes).withUnsafeBufferPointer {
            StableHash.fnv1a($0)
        }
        #expect(String(hash, radix: 16) == "3e3a5c18a1c2e421")
    }
}
