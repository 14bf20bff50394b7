import Bytes
import ChatCore
import ChatEngine
import ChatModel
import Testing

@testable import ClusterWire

/// The layout must not change, because other nodes may run an earlier version. A failing test here
/// means that it changed.
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
            "0100" + "efcdab8967452301ffffffffffffffff" + "4801ac02ac020302"
            // An event: its conversation, `posted`, the message, its body, its author, the
            // remaining fields.
            + "3e04" + "0e0764656661756c74056c6f626279" + "2602" + "240102f6a1abfef96200"
            + "19" + "0d05616c69636505416c69636500" + "03743106" + "48656c6c6f21" + "00" + "00"
            + "02808080805005"
            // Another item, the tick, the code.
            + "0106" + "0701ac02ac020300" + "f82ad7b08f74ff8d082654689e1b1b4e"
        #expect(Hex.encode(packet) == layout)
    }

    @Test("is unchanged for every kind of item")
    func everyKindOfItem() {
        #expect(self.hash(of: Samples.envelopes) == "c116d51e434d5c0c")
        // Later kinds have not changed the earlier ones.
        let first = Samples.envelopes.map { envelope in
            Envelope(
                from: envelope.from, to: envelope.to, number: envelope.number, view: envelope.view,
                items: envelope.items.filter(\.isInFirstVersion))
        }
        #expect(self.hash(of: first) == "7d7445e5a62366af")
    }

    private func hash(of envelopes: [Envelope]) -> String {
        String(
            NodePacket.bytes(envelopes).withUnsafeBufferPointer { StableHash.fnv1a($0) }, radix: 16)
    }
}

extension Envelope.Item {
    /// Whether every node with this version of the layout knows it.
    fileprivate var isInFirstVersion: Bool {
        switch self {
        case .recoveryQuery: false
        case .input(let input):
            switch input.input {
            case .offerRetained, .command(.addMember), .command(.removeMember),
                .command(.react), .command(.pin), .command(.unpin), .command(.pins),
                .command(.update), .command(.receipts):
                false
            case .command(.post(let body)): body.annotations == nil
            case .command(.create(let new)): new.pinPolicy == .members
            default: true
            }
        case .answer(_, .failed(.noSuchMember), _), .answer(_, .pins, _), .answer(_, .receipts, _):
            false
        case .answer(_, .failed(let error), _): !Samples.featureErrors.contains(error)
        case .answer(_, .posted(let message, _), _), .answer(_, .amended(let message), _):
            message.body.annotations == nil
        case .event(let notification):
            switch notification.event {
            case .reacted, .pinned, .unpinned, .updated: false
            case .posted(let message): message.body.annotations == nil
            default: true
            }
        default: true
        }
    }
}
