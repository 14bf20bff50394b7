import ChatCore
import ChatModel
import ChatSimulation
import Testing

@testable import ChatEngine

@Suite("A batch of deliveries")
struct DeliveryBatchTests {
    private let feed: FeedID
    private var chat: ChatLoop
    private let key = ThreeNodeCluster.keys(1)[0]
    private let requests: [RequestID]

    /// A loop on which alice and carol have requested to join; this test is the owner.
    init() {
        var chat = ChatLoop(id: .near, view: ThreeNodeCluster.view, limits: .init())
        let joins = [Person.alice, .carol].enumerated().map { index, person in
            let joinRequest = JoinRequest(
                principal: Principal(person: person, isAdmin: false), isListedInToken: true,
                template: .closed)
            return chat.subscribe(
                to: ThreeNodeCluster.keys(1)[0], with: joinRequest,
                context: RequestContextID(rawValue: UInt64(index + 1)),
                at: .sample(0))
        }
        chat.finishTurn(at: .sample(0))
        self.chat = chat
        self.feed = joins[0].feed
        self.requests = joins.map(\.request)
    }

    private mutating func receive(_ items: Envelope.Item..., number: UInt64 = 1) {
        self.chat.receive(
            Envelope(from: .far, to: .near, number: number, view: 1, items: items), at: .sample(0))
    }

    private func joinAnswer(_ index: Int, at head: SequenceNumber) -> Envelope.Item {
        let joinResult = JoinResult(
            head: head, oldest: 1, revision: head, ended: nil, present: [], presentCount: 0,
            isCrowd: false)
        return .answer(self.requests[index], .joined(joinResult), slot: 0)
    }

    private func postedEvent(_ sequence: SequenceNumber) -> Envelope.Item {
        .event(
            .init(
                conversation: self.key, event: .posted(.sample(sequence)), revision: sequence,
                answering: 0, feedSlot: 0))
    }

    @Test(
        "ends before the first message after a join, so that `deliveredThrough` is exact"
    )
    mutating func endsBeforeFirstMessageAfterJoin() {
        self.receive(self.joinAnswer(0, at: 3), self.postedEvent(4), self.postedEvent(5))
        #expect(self.chat.takeDeliveries().map(\.summary) == ["1: joined at 3"])
        #expect(self.chat.deliveredThrough(self.feed) == 3)
        #expect(self.chat.takeDeliveries().map(\.summary) == ["4 words 4", "5 words 5"])
        #expect(self.chat.deliveredThrough(self.feed) == 5)
        #expect(self.chat.takeDeliveries().isEmpty)
    }

    @Test("ends after each of several joins")
    mutating func endsAtEachJoin() {
        self.receive(
            self.joinAnswer(0, at: 3), self.postedEvent(4), self.joinAnswer(1, at: 4),
            self.postedEvent(5))
        #expect(self.chat.takeDeliveries().map(\.summary) == ["1: joined at 3"])
        #expect(self.chat.takeDeliveries().map(\.summary) == ["4 words 4", "2: joined at 4"])
        #expect(self.chat.deliveredThrough(self.feed) == 4)
        #expect(self.chat.takeDeliveries().map(\.summary) == ["5 words 5"])
    }

    @Test("contains all messages if there is no join")
    mutating func messagesOnly() {
        self.receive(self.joinAnswer(0, at: 0))
        _ = self.chat.takeDeliveries()
        self.receive(self.postedEvent(1), self.postedEvent(2), self.postedEvent(3), number: 2)
        // None of them has been taken.
        #expect(self.chat.deliveredThrough(self.feed) == 0)
        #expect(self.chat.takeDeliveries().count == 3)
        #expect(self.chat.deliveredThrough(self.feed) == 3)
    }

    @Test("leaves nothing delivered in a closed feed")
    mutating func closedFeed() {
        self.receive(self.joinAnswer(0, at: 3), self.joinAnswer(1, at: 3))
        _ = self.chat.takeDeliveries()
        self.chat.unsubscribe(from: self.feed, user: Person.alice.id)
        #expect(self.chat.deliveredThrough(self.feed) == 3)
        self.chat.unsubscribe(from: self.feed, user: Person.carol.id)
        #expect(self.chat.deliveredThrough(self.feed) == 0)
    }

    @Test("ignores answers to unknown requests")
    mutating func answerToUnknownRequest() {
        let unknown = RequestID(rawValue: self.requests[0].rawValue + 5)
        self.receive(.answer(0, .done, slot: 0), .answer(unknown, .done, slot: 0))
        #expect(self.chat.takeDeliveries().isEmpty)
        #expect(self.chat.counts.pending == 2)
    }
}

@Suite("A late answer")
struct LateAnswerTests {
    private let key = ThreeNodeCluster.keys(1)[0]

    /// A loop on which bob has repeated the send of message 1, and then receives its deletion. This
    /// test is the owner and the store.
    private func chatWithPendingSend() -> (chat: ChatLoop, feed: FeedID, request: RequestID) {
        var limits = Limits()
        limits.retention = .seconds(60)
        var chat = ChatLoop(id: .near, view: ThreeNodeCluster.view, limits: limits)
        let joinRequest = JoinRequest(
            principal: Principal(person: .bob, isAdmin: false), isListedInToken: true,
            template: .closed)
        let (feed, join) = chat.subscribe(
            to: self.key, with: joinRequest, context: 1, at: .sample(0))
        let joinResult = JoinResult(
            head: 0, oldest: 1, revision: 0, ended: nil, present: [], presentCount: 0,
            isCrowd: false)
        self.receive(
            &chat,
            [.answer(join, .joined(joinResult), slot: 0), self.event(.posted(.sample(1)), 1)],
            number: 1)
        while !chat.takeDeliveries().isEmpty {}
        chat.submit(
            .post(.said("words 1", by: .bob)), in: self.key, through: feed, context: 7,
            at: .sample(0))
        let request = self.sentRequests(&chat).last!
        self.receive(&chat, [self.event(.deleted(.sample(1).deleted(revision: 2)), 2)], number: 2)
        while !chat.takeDeliveries().isEmpty {}
        return (chat, feed, request)
    }

    private func receive(
        _ chat: inout ChatLoop, _ items: [Envelope.Item], number: UInt64, at time: Int64 = 0
    ) {
        chat.receive(
            Envelope(from: .far, to: .near, number: number, view: 1, items: items),
            at: .sample(time))
    }

    private func event(_ event: ChatEvent, _ revision: Revision) -> Envelope.Item {
        .event(
            .init(
                conversation: self.key, event: event, revision: revision, answering: 0, feedSlot: 0)
        )
    }

    private func sentRequests(_ chat: inout ChatLoop) -> [RequestID] {
        chat.finishTurn(at: .sample(0))
        return chat.takeEnvelopes().flatMap(\.items).compactMap {
            if case .input(let input) = $0 { input.request } else { nil }
        }
    }

    @Test("without a delivered deletion is not delivered, and its request is retried")
    func outdated() {
        var (chat, _, request) = self.chatWithPendingSend()
        self.receive(&chat, [.answer(request, .posted(.sample(1)), slot: 0)], number: 3)
        #expect(chat.takeDeliveries().isEmpty)
        #expect(self.sentRequests(&chat) == [request])
        self.receive(
            &chat, [.answer(request, .posted(.sample(1).deleted(revision: 2)), slot: 0)], number: 4)
        #expect(chat.takeDeliveries().map(\.summary) == ["7: posted 1"])
    }

    @Test("to a retried request is delivered even if the requester has unsubscribed")
    func outdatedAndGone() {
        var (chat, feed, request) = self.chatWithPendingSend()
        // The answer is part of an out-of-order change, and waits for a repair that never ends
        // because the feed closes.
        let early = Envelope.EventNotification(
            conversation: self.key, event: .posted(.sample(1)), revision: 9, answering: request,
            feedSlot: feed.slot)
        self.receive(&chat, [.event(early)], number: 3)
        chat.unsubscribe(from: feed, user: Person.bob.id)
        #expect(chat.takeDeliveries().isEmpty)
        self.receive(
            &chat, [.answer(request, .posted(.sample(1).deleted(revision: 2)), slot: 0)], number: 4)
        #expect(chat.takeDeliveries().map(\.summary) == ["7: posted 1"])
        #expect(chat.counts.pending == 0)
    }

    @Test("with the deletion is delivered")
    func current() {
        var (chat, _, request) = self.chatWithPendingSend()
        self.receive(
            &chat, [.answer(request, .posted(.sample(1).deleted(revision: 2)), slot: 0)], number: 3)
        #expect(chat.takeDeliveries().map(\.summary) == ["7: posted 1"])
    }
}

@Suite("Delivery reports")
struct DeliveryReportTests {
    let cluster = ThreeNodeCluster()

    private func reports() -> [String] {
        self.cluster.takeItems(from: .third, to: .far).filter { $0.contains(" received ") }
    }

    @Test("leave with the next items to the owner")
    func withNextEnvelope() {
        let (alice, bob) = self.cluster.subscribeAliceAndBob()
        self.cluster.say("one", by: alice)
        self.cluster.recordDelivery(1...1, to: bob)
        #expect(self.reports() == [])
        self.cluster.say("two", by: alice)
        #expect(self.reports() == [])
        self.cluster.say("three", by: bob)
        #expect(self.reports() == ["bob received 1...1"])
        #expect(
            self.cluster.takeDeliveries(on: .near) == [
                "1 one", "2 two", "[1] delivered", "3 three",
            ])
    }

    @Test(
        "leave on their own after a quarter to half a second, several as one"
    )
    func onTheirOwn() {
        let (alice, bob) = self.cluster.subscribeAliceAndBob()
        self.cluster.say("one", by: alice)
        self.cluster.advance(by: 1000)
        self.cluster.say("two", by: alice)
        self.cluster.recordDelivery(1...1, to: bob)
        self.cluster.recordDelivery(2...2, to: bob)
        self.cluster.advance(by: 200)
        #expect(self.reports() == [])
        self.cluster.advance(by: 600)
        #expect(self.reports() == ["bob received 1...2"])
        self.cluster.advance(by: 2000)
        #expect(self.reports() == [])
    }

    @Test(
        "wait up to 1.25 s in a busy conversation, because the next message may take them along"
    )
    func busyConversation() {
        let (alice, bob) = self.cluster.subscribeAliceAndBob()
        self.cluster.say("one", by: alice)
        self.cluster.advance(by: 900)
        self.cluster.say("two", by: alice)
        self.cluster.recordDelivery(1...2, to: bob)
        self.cluster.advance(by: 900)
        #expect(self.reports() == [])
        self.cluster.say("three", by: alice)
        self.cluster.advance(by: 300)
        #expect(self.reports() == ["bob received 1...2"])
        self.cluster.recordDelivery(3...3, to: bob)
        self.cluster.advance(by: 1000)
        #expect(self.reports() == [])
        self.cluster.advance(by: 400)
        #expect(self.reports() == ["bob received 3...3"])
        self.cluster.advance(by: 2000)
        #expect(self.reports() == [])
    }

    @Test("leave before the last subscriber does")
    func beforeUnsubscribe() {
        let (alice, bob) = self.cluster.subscribeAliceAndBob()
        self.cluster.say("one", by: alice)
        self.cluster.recordDelivery(1...1, to: bob)
        self.cluster.unsubscribe(bob)
        #expect(
            self.cluster.takeItems(from: .third, to: .far).suffix(3) == [
                "bob received 1...1", "bob unsubscribes", "detach",
            ])
        #expect(self.cluster.takeDeliveries(on: .near) == ["1 one"])
        // To its author on another node, a status waits up to a quarter of a second for other
        // items.
        self.cluster.advance(by: 300)
        #expect(self.cluster.takeDeliveries(on: .near).contains("[1] delivered"))
    }

    @Test("that were lost are repeated in the next attach request")
    func lost() {
        let (alice, bob) = self.cluster.subscribeAliceAndBob()
        self.cluster.say("one", by: alice)
        self.cluster.recordDelivery(1...1, to: bob)
        self.cluster.set(.losing, from: .third, to: .far)
        self.cluster.advance(by: 800)
        self.cluster.set(.open, from: .third, to: .far)
        self.cluster.advance(by: 3000)
        #expect(self.cluster.takeDeliveries(on: .near) == ["1 one", "[1] delivered"])
    }
}
