import ChatCore
import ChatModel
import Testing

@testable import Cluster

@Suite("An outbox")
struct OutboxTests {
    @Test("puts what goes to one loop in one turn into one envelope, in order")
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

    @Test("numbers every pair of loops by itself")
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

    @Test(
        "takes what is not urgent along with the next mail to the same loop, before it, and alone when it must not wait any longer"
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
        // To itself nothing waits, and more than a number of them wait for nothing.
        outbox.sendDeferred(.resynchronize, to: .near)
        #expect(outbox.local.count == 1)
        for _ in 0...PeerLoop.deferredLimit { outbox.sendDeferred(.resynchronize, to: .far) }
        outbox.seal(view: 1, into: &envelopes)
        #expect(envelopes.last?.items.count == PeerLoop.deferredLimit + 1)
    }

    @Test(
        "numbers what the writes carry behind what was sealed before, and before what comes after")
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
        "lets the writes carry what nobody asks for again, with what waits for other mail, and nothing that somebody waits for"
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

    @Test("keeps mail of a loop to itself out of envelopes")
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

    @Test("ticks for every loop that it has written to, and for no other")
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

    @Test("gives every request to the store a ticket of its own, and hands it out once")
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
