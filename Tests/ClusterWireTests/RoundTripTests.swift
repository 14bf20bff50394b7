import Bytes
import ChatCore
import ChatModel
import Cluster
import RepeatableChance
import Testing

@testable import ClusterWire

@Suite("A parcel")
struct RoundTripTests {
    @Test("brings every kind of item as it was sent", arguments: Samples.items.indices)
    func everyItem(_ place: Int) throws {
        let sent = Envelope.carrying([Samples.items[place]])
        let parcel = try Parcel.read(Parcel.bytes([sent]))
        #expect(parcel.envelopes.map(told) == [told(sent)])
        #expect(parcel.unknownItems == 0)
    }

    @Test("brings the envelopes of all loops, in order, and ticks")
    func envelopes() throws {
        let parcel = try Parcel.read(Parcel.bytes(Samples.envelopes))
        #expect(parcel.from == OwnerID.near.incarnation && parcel.to == OwnerID.far.incarnation)
        #expect(parcel.envelopes.map(told) == Samples.envelopes.map(told))
    }

    @Test("may be empty: it shows that mail comes through")
    func empty() throws {
        #expect(try Parcel.read(Parcel.bytes([])).envelopes.isEmpty)
    }

    @Test("brings whatever chance puts in, and is the same bytes when it is sent again", arguments: 1...200)
    func chance(seed: Int) throws {
        var chance = Chance(seed: UInt64(seed))
        let sent = (0..<chance.generator.next(below: 4)).map { _ in
            chance.envelope(from: OwnerID.near.incarnation, to: OwnerID.far.incarnation)
        }
        let bytes = Parcel.bytes(sent)
        let parcel = try Parcel.read(bytes)
        #expect(parcel.envelopes.map(told) == sent.map(told))
        #expect(Parcel.bytes(parcel.envelopes) == bytes)
    }

    @Test("is written behind what the buffer has already")
    func behind() throws {
        var buffer = ByteBuffer(Array("PUBLISH ".utf8))
        let writer = ParcelWriter(from: OwnerID.near.incarnation, to: OwnerID.far.incarnation, in: &buffer)
        #expect(writer.append(.carrying([.resynchronize]), to: &buffer))
        writer.seal(with: .sample, in: &buffer)
        #expect(Array(buffer.bytes.dropFirst(8)) == Parcel.bytes([.carrying([.resynchronize])]))
    }

    @Test("that is full takes no more, and is whole without what it did not take")
    func full() throws {
        let body = MessageBody(author: .alice, clientID: nil, content: String(repeating: "x", count: 6 << 20))
        let large = Envelope.carrying([.input(Envelope.Input(conversation: .lobby, input: .command(.post(body))))])
        var buffer = ByteBuffer()
        let writer = ParcelWriter(from: OwnerID.near.incarnation, to: OwnerID.far.incarnation, in: &buffer)
        #expect(writer.append(large, to: &buffer))
        #expect(writer.append(large, to: &buffer))
        #expect(!writer.append(large, to: &buffer))
        #expect(writer.append(.carrying([.resynchronize]), to: &buffer))
        writer.seal(with: .sample, in: &buffer)
        #expect(try Parcel.read(buffer.bytes).envelopes.map(\.items.count) == [1, 1, 1])
    }

    @Test("makes the texts of a person who speaks again once", arguments: [Person.agent, .anonymous])
    func again(_ person: Person) throws {
        let items = (1...3).map { number in
            Envelope.Item.event(
                Envelope.News(
                    conversation: .long, event: .typing(number == 2 ? .alice : person, true), revision: 0, answering: 0, feedPlace: .max))
        }
        let parcel = try Parcel.read(Parcel.bytes([.carrying(items + items)]))
        #expect(parcel.envelopes.map(told) == [told(Envelope.carrying(items + items))])
    }
}
