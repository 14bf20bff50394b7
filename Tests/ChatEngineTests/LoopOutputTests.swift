import ChatCore
import ChatModel
import Cluster
import Testing

@testable import ChatEngine

@Suite("A loop's output")
struct LoopOutputTests {
    @Test("puts the items for one loop in one turn into one envelope, in order")
    func oneEnvelope() {
        var output = LoopOutput(id: .near)
        for number in 1...3 { output.send(.reattach(.numbered(number)), to: .far) }
        output.send(.resynchronize, to: .third)
        var envelopes: [Envelope] = []
        output.seal(view: 1, into: &envelopes)

        #expect(envelopes.map(\.to) == [.far, .third])
        #expect(envelopes.map(\.number) == [1, 1])
        let keys = envelopes[0].items.map {
            if case .reattach(let key) = $0 { key } else { nil } as ConversationKey?
        }
        #expect(keys == [.numbered(1), .numbered(2), .numbered(3)])
    }

    @Test("numbers each pair of loops separately")
    func numbersPerPair() {
        var output = LoopOutput(id: .near)
        var envelopes: [Envelope] = []
        for loop in [LoopID.far, .third, .far, .far] {
            output.send(.resynchronize, to: loop)
            output.seal(view: 1, into: &envelopes)
        }
        #expect(envelopes.map(\.to) == [.far, .third, .far, .far])
        #expect(envelopes.map(\.number) == [1, 1, 2, 3])

        #expect(
            output.recordArrival(
                Envelope(from: .far, to: .near, number: 1, view: 1, items: [.resynchronize]))
                == .next)
        #expect(
            output.recordArrival(
                Envelope(from: .third, to: .near, number: 2, view: 1, items: [.resynchronize]))
                == .gap)
        #expect(
            output.recordArrival(
                Envelope(from: .far, to: .near, number: 2, view: 1, items: [.resynchronize]))
                == .next)
    }

    @Test("continues with higher numbers if a removed node returns, so that it notices a gap")
    func numbersAfterRemoval() throws {
        var (sender, receiver) = (LoopOutput(id: .near), LoopOutput(id: .far))
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
        var output = LoopOutput(id: .near)
        for (loop, view) in [(LoopID.far, 3), (.third, 5)] {
            _ = output.recordArrival(
                Envelope(from: loop, to: .near, number: 1, view: view, items: [.resynchronize]))
        }
        func missing(in number: Int) -> Set<UInt64> {
            output.nodesMissing(
                in: View(
                    number: number,
                    nodes: [View.Node(incarnation: LoopID.near.incarnation, loops: 1)]))
        }
        #expect(missing(in: 2).isEmpty)
        #expect(missing(in: 4) == [LoopID.far.incarnation])
        #expect(missing(in: 5) == [LoopID.far.incarnation, LoopID.third.incarnation])
        #expect(output.nodesMissing(in: ThreeNodeCluster.view).isEmpty)
    }

    @Test(
        "sends deferred items before the next ones to the same loop, or alone when flushed"
    )
    func deferredItems() {
        var output = LoopOutput(id: .near)
        var envelopes: [Envelope] = []
        output.sendDeferred(.reattach(.numbered(1)), to: .far)
        output.seal(view: 1, into: &envelopes)
        #expect(envelopes.isEmpty)
        output.send(.reattach(.numbered(2)), to: .far)
        output.sendDeferred(.reattach(.numbered(3)), to: .third)
        output.seal(view: 1, into: &envelopes)
        #expect(envelopes.map(\.to) == [.far])
        let keys = envelopes[0].items.map {
            if case .reattach(let key) = $0 { key } else { nil } as ConversationKey?
        }
        #expect(keys == [.numbered(1), .numbered(2)])
        output.flushDeferred()
        output.seal(view: 1, into: &envelopes)
        #expect(envelopes.map(\.to) == [.far, .third])
        // Items for the loop itself never wait, and the number of deferred items is limited.
        output.sendDeferred(.resynchronize, to: .near)
        #expect(output.local.count == 1)
        for _ in 0...PeerLoop.deferredLimit { output.sendDeferred(.resynchronize, to: .far) }
        output.seal(view: 1, into: &envelopes)
        #expect(envelopes.last?.items.count == PeerLoop.deferredLimit + 1)
    }

    @Test(
        "numbers the envelopes with writes after those sealed before, and before later ones")
    func envelopesWithWrite() {
        var output = LoopOutput(id: .near)
        var envelopes: [Envelope] = []
        output.sendWithWrites(.reattach(.numbered(1)), to: .far)
        output.send(.resynchronize, to: .far)
        output.seal(view: 1, into: &envelopes)
        output.send(.resynchronize, to: .far)
        output.seal(view: 1, into: &envelopes)
        #expect(envelopes.map(\.number) == [1, 3])
        #expect(output.takeEnvelopesWithWrite().map(\.number) == [2])
        #expect(output.takeEnvelopesWithWrite().isEmpty)
    }

    @Test(
        "moves ephemeral and deferred items to the writes, but no items that are awaited"
    )
    func ephemeralItemsWithWrite() {
        let typing = Envelope.Item.event(
            .init(
                conversation: .numbered(1), event: .typing(.alice, true), revision: 0, answering: 0,
                feedSlot: 0))
        var output = LoopOutput(id: .near)
        var envelopes: [Envelope] = []
        output.send(typing, to: .far)
        output.sendDeferred(
            .input(.init(conversation: .numbered(1), input: .delivered(Person.alice.id, 1...2))),
            to: .far)
        output.sendWithWrites(.reattach(.numbered(1)), to: .far)
        output.send(typing, to: .third)
        output.seal(view: 1, into: &envelopes)
        #expect(envelopes.map(\.to) == [.third])
        #expect(output.takeEnvelopesWithWrite().map(\.items.count) == [3])

        envelopes = []
        output.send(typing, to: .far)
        output.send(.answer(1, .done, slot: 0), to: .far)
        output.sendWithWrites(.reattach(.numbered(1)), to: .far)
        output.seal(view: 1, into: &envelopes)
        #expect(envelopes.map(\.items.count) == [2])
        #expect(output.takeEnvelopesWithWrite().map(\.items.count) == [1])
    }

    @Test("does not put items of a loop for itself into envelopes")
    func local() {
        var output = LoopOutput(id: .near)
        output.send(.resynchronize, to: .near)
        var envelopes: [Envelope] = []
        output.seal(view: 1, into: &envelopes)
        output.tick(view: 1, into: &envelopes)
        #expect(envelopes.isEmpty)

        var items: [Envelope.Item] = []
        output.swapLocal(with: &items)
        #expect(items.count == 1)
        #expect(output.local.isEmpty)
    }

    @Test("ticks only for loops that it has sent envelopes to")
    func ticks() {
        var output = LoopOutput(id: .near)
        var envelopes: [Envelope] = []
        output.send(.resynchronize, to: .far)
        _ = output.recordArrival(
            Envelope(from: .third, to: .near, number: 1, view: 1, items: [.resynchronize]))
        output.seal(view: 1, into: &envelopes)
        envelopes = []
        output.tick(view: 1, into: &envelopes)
        #expect(envelopes.map(\.to) == [.far])
    }

    @Test("gives every store request its own ticket, and returns it once")
    func tickets() {
        var output = LoopOutput(id: .near)
        let tickets = (0..<3).map { _ in output.submit(.probe) }
        #expect(output.takeRequests().map(\.ticket) == tickets)
        #expect(output.takeRequests().isEmpty)
        #expect(!tickets.contains(output.submit(.probe)))
        #expect(Set(tickets).count == 3)
        #expect(!tickets.contains(0))
    }
}
