import Bytes
import ChatCore
import ChatEngine
import ChatModel
import SeededRandom
import Testing

@testable import ClusterWire

@Suite("A packet")
struct PacketRoundTripTests {
    @Test("keeps every kind of item", arguments: Samples.items.indices)
    func everyItem(_ index: Int) throws {
        let sent = Envelope.carrying([Samples.items[index]])
        let packet = try NodePacket.read(NodePacket.bytes([sent]))
        #expect(packet.envelopes.map(dumpText) == [dumpText(sent)])
        #expect(packet.unknownItemCount == 0)
    }

    @Test("keeps the envelopes of all loops, in order, and ticks")
    func envelopes() throws {
        let packet = try NodePacket.read(NodePacket.bytes(Samples.envelopes))
        #expect(packet.from == LoopID.near.incarnation && packet.to == LoopID.far.incarnation)
        #expect(packet.envelopes.map(dumpText) == Samples.envelopes.map(dumpText))
    }

    @Test("may be empty, as a probe")
    func emptyPacket() throws {
        #expect(try NodePacket.read(NodePacket.bytes([])).envelopes.isEmpty)
    }

    @Test(
        "keeps random items, and is the same bytes when it is written again",
        arguments: 1...200)
    func randomEnvelopes(seed: Int) throws {
        var random = RandomValues(seed: UInt64(seed))
        let sent = (0..<random.generator.next(below: 4)).map { _ in
            random.envelope(from: LoopID.near.incarnation, to: LoopID.far.incarnation)
        }
        let bytes = NodePacket.bytes(sent)
        let packet = try NodePacket.read(bytes)
        #expect(packet.envelopes.map(dumpText) == sent.map(dumpText))
        #expect(NodePacket.bytes(packet.envelopes) == bytes)
    }

    @Test("is written after other bytes in the buffer")
    func afterOtherBytes() throws {
        var buffer = ByteBuffer(Array("PUBLISH ".utf8))
        let writer = NodePacketWriter(
            from: LoopID.near.incarnation, to: LoopID.far.incarnation, in: &buffer)
        #expect(writer.append(.carrying([.resynchronize]), to: &buffer))
        writer.seal(with: .sample, in: &buffer)
        #expect(Array(buffer.bytes.dropFirst(8)) == NodePacket.bytes([.carrying([.resynchronize])]))
    }

    @Test("that is full accepts no more envelopes, and is valid without them")
    func fullPacket() throws {
        let body = MessageBody(
            author: .alice, clientMessageID: nil, content: String(repeating: "x", count: 6 << 20))
        let large = Envelope.carrying([
            .input(Envelope.Input(conversation: .lobby, input: .command(.post(body))))
        ])
        var buffer = ByteBuffer()
        let writer = NodePacketWriter(
            from: LoopID.near.incarnation, to: LoopID.far.incarnation, in: &buffer)
        #expect(writer.append(large, to: &buffer))
        #expect(writer.append(large, to: &buffer))
        #expect(!writer.append(large, to: &buffer))
        #expect(writer.append(.carrying([.resynchronize]), to: &buffer))
        writer.seal(with: .sample, in: &buffer)
        #expect(try NodePacket.read(buffer.bytes).envelopes.map(\.items.count) == [1, 1, 1])
    }

    @Test(
        "creates the texts of a repeated person once", arguments: [Person.agent, .anonymous])
    func repeatedPerson(_ person: Person) throws {
        let items = (1...3).map { number in
            Envelope.Item.event(
                Envelope.EventNotification(
                    conversation: .long, event: .typing(number == 2 ? .alice : person, true),
                    revision: 0, answering: 0, feedSlot: .max))
        }
        let packet = try NodePacket.read(NodePacket.bytes([.carrying(items + items)]))
        #expect(packet.envelopes.map(dumpText) == [dumpText(Envelope.carrying(items + items))])
    }
}
