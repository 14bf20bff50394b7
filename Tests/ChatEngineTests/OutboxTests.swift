import ChatCore
import ChatModel
import Cluster
import Testing

@testable import ChatEngine

@Suite("An outbox")
struct OutboxTests {
    @Test("puts the items for one loop in one turn into one envelope, in order")
    func oneEnvelope() {
        var outbox = Outbox(id: .near)
        for number in 1...3 { outbox.send(.reattach(.numbered(number)), to: .far) }
        outbox.send(.resynchronize, to: .third)
        var envelopes: [Envelope] = []
        outbox.seal(view: 1, into: &envelopes)

        #expect(envelopes.map(\.to) == [.far, .third])
        #expect(envelopes.map(\.number) == [1, 1])
        let keys = envelopes[0].items.map {
            if case .reattach(let key) = $0 { key } else { nil } as ConversationKey?
        }
        #expect(keys == [.numbered(1), .numbered(2), .numbered(3)])
    }

    @Test("numbers each pair of loops separately")
    func numbersPerPair() {
        var outbox = Outbox(id: .near)
        var envelopes: [Envelope] = []
        for loop in [LoopID.far, .third, .far, .far] {
            outbox.send(.resynchronize, to: loop)
            outbox.seal(view: 1, into: &envelopes)
        }
        #expect(envelopes.map(\.to) == [.far, .third, .far, .far])
        #expect(envelopes.map(\.number) == [1, 1, 2, 3])

        #expect(
            outbox.recordArrival(
                Envelope(from: .far, to: .near, number: 1, view: 1, items: [.resynchronize]))
                == .next)
        #expect(
            outbox.recordArrival(
                Envelope(from: .third, to: .near, number: 2, view: 1, items: [.resynchronize]))
                == .gap)
        #expect(
            outbox.recordArrival(
                Envelope(from: .far, to: .near, number: 2, view: 1, items: [.resynchronize]))
                == .next)
    }

    @Test("continues with higher numbers if a removed node returns, so that it notices a gap")
    func numbersAfterRemoval() throws {
        var (sender, receiver) = (Outbox(id: .near), Outbox(id: .far))
        func exchange() throws -> PeerLoop.Arrival {
            var envelopes: [Envelope] = []
            sender.send(.resynchronize, to: .far)
            sender.seal(view: 1, into: &envelopes)
            return receiver.recordArrival(try #require(envelopes.first))
        }
        for _ in 1...9 { #expect(try exchange() == .next) }
        sender.removePeers(of: [LoopID.far.incarnation])
        #expect(try exchange() == .gap)
        #expect(try exchange() == .next)
    }

    @Test("names the nodes that a view lacks, unless they know a later view")
    func missingNodes() {
        var outbox = Outbox(id: .near)
        for (loop, view) in [(LoopID.far, 3), (.third, 5)] {
            _ = outbox.recordArrival(
                Envelope(from: loop, to: .near, number: 1, view: view, items: [.resynchronize]))
        }
        func missing(in number: Int) -> Set<UInt64> {
            outbox.nodesMissing(
                in: View(
                    number: number,
                    nodes: [View.Node(incarnation: LoopID.near.incarnation, loops: 1)]))
        }
        #expect(missing(in: 2).isEmpty)
        #expect(missing(in: 4) == [LoopID.far.incarnation])
        #expect(missing(in: 5) == [LoopID.far.incarnation, LoopID.third.incarnation])
        #expect(outbox.nodesMissing(in: ThreeNodeCluster.view).isEmpty)
    }

    @Test(
        "sends deferred items before the next ones to the same loop, or alone when flushed"
    )
    func deferredItems() {
        var outbox = Outbox(id: .near)
        var envelopes: [Envelope] = []
        outbox.sendDeferred(.reattach(.numbered(1)), to: .far)
        outbox.seal(view: 1, into: &envelopes)
        #expect(envelopes.isEmpty)
        outbox.send(.reattach(.numbered(2)), to: .far)
        outbox.sendDeferred(.reattach(.numbered(3)), to: .third)
        outbox.seal(view: 1, into: &envelopes)
        #expect(envelopes.map(\.to) == [.far])
        let keys = envelopes[0].items.map {
            if case .reattach(let key) = $0 { key } else { nil } as ConversationKey?
        }
        #expect(keys == [.numbered(1), .numbered(2)])
        outbox.flushDeferred()
        outbox.seal(view: 1, into: &envelopes)
        #expect(envelopes.map(\.to) == [.far, .third])
        // Items for the loop itself never wait, and the number of deferred items is limited.
        outbox.sendDeferred(.resynchronize, to: .near)
        #expect(outbox.local.count == 1)
        for _ in 0...PeerLoop.deferredLimit { outbox.sendDeferred(.resynchronize, to: .far) }
        outbox.seal(view: 1, into: &envelopes)
        #expect(envelopes.last?.items.count == PeerLoop.deferredLimit + 1)
    }

    @Test(
        "numbers the envelopes with writes after those sealed before, and before later ones")
    func envelopesWithWrite() {
        var outbox = Outbox(id: .near)
        var envelopes: [Envelope] = []
        outbox.sendWithWrites(.reattach(.numbered(1)), to: .far)
        outbox.send(.resynchronize, to: .far)
        outbox.seal(view: 1, into: &envelopes)
        outbox.send(.resynchronize, to: .far)
        outbox.seal(view: 1, into: &envelopes)
        #expect(envelopes.map(\.number) == [1, 3])
        #expect(outbox.takeEnvelopesWithWrite().map(\.number) == [2])
        #expect(outbox.takeEnvelopesWithWrite().isEmpty)
    }

    @Test(
        "moves ephemeral and deferred items to the writes, but no items that are awaited"
    )
    func ephemeralItemsWithWrite() {
        let typing = Envelope.Item.event(
            .init(
                conversation: .numbered(1), event: .typing(.alice, true), revision: 0, answering: 0,
                feedSlot: 0))
        var outbox = Outbox(id: .near)
        var envelopes: [Envelope] = []
        outbox.send(typing, to: .far)
        outbox.sendDeferred(
            .input(.init(conversation: .numbered(1), input: .delivered(Person.alice.id, 1...2))),
            to: .far)
        outbox.sendWithWrites(.reattach(.numbered(1)), to: .far)
        outbox.send(typing, to: .third)
        outbox.seal(view: 1, into: &envelopes)
        #expect(envelopes.map(\.to) == [.third])
        #expect(outbox.takeEnvelopesWithWrite().map(\.items.count) == [3])

        envelopes = []
        outbox.send(typing, to: .far)
        outbox.send(.answer(1, .done, slot: 0), to: .far)
        outbox.sendWithWrites(.reattach(.numbered(1)), to: .far)
        outbox.seal(view: 1, into: &envelopes)
        #expect(envelopes.map(\.items.count) == [2])
        #expect(outbox.takeEnvelopesWithWrite().map(\.items.count) == [1])
    }

    @Test("does not put items of a loop for itself into envelopes")
    func local() {
        var outbox = Outbox(id: .near)
        outbox.send(.resynchronize, to: .near)
        var envelopes: [Envelope] = []
        outbox.seal(view: 1, into: &envelopes)
        outbox.tick(view: 1, into: &envelopes)
        #expect(envelopes.isEmpty)

        var items: [Envelope.Item] = []
        outbox.swapLocal(with: &items)
        #expect(items.count == 1)
        #expect(outbox.local.isEmpty)
    }

    @Test("ticks only for loops that it has sent envelopes to")
    func ticks() {
        var outbox = Outbox(id: .near)
        var envelopes: [Envelope] = []
        outbox.send(.resynchronize, to: .far)
        _ = outbox.recordArrival(
            Envelope(from: .third, to: .near, number: 1, view: 1, items: [.resynchronize]))
        outbox.seal(view: 1, into: &envelopes)
        envelopes = []
        outbox.tick(view: 1, into: &envelopes)
        #expect(envelopes.map(\.to) == [.far])
    }

    @Test("gives every store request its own ticket, and returns it once")
    func tickets() {
        var outbox = Outbox(id: .near)
        let tickets = (0..<3).map { _ in outbox.submit(.probe) }
        #expect(outbox.takeRequests().map(\.ticket) == tickets)
        #expect(outbox.takeRequests().isEmpty)
        #expect(!tickets.contains(outbox.submit(.probe)))
        #expect(Set(tickets).count == 3)
        #expect(!tickets.contains(0))
    }
}
