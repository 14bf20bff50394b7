import ChatCore
import ChatModel
import ChatSimulation
import Testing

@testable import Cluster

@Suite("Deliveries")
struct DeliveriesTests {
    private let feed: FeedID
    private var chat: ChatLoop
    private let key = Stage.keys(1)[0]
    private let requests: [RequestID]

    /// A loop on which alice and carol have asked to come in; the owner is this test.
    init() {
        var chat = ChatLoop(id: .near, view: Stage.view, limits: .init())
        let names = [Person.alice, .carol].enumerated().map { place, person in
            let entrance = Entrance(actor: Actor(person: person, isAdmin: false), isListed: true, kind: .conversations)
            return chat.enter(Stage.keys(1)[0], entrance, context: UInt64(place + 1), at: .sample(0))
        }
        chat.settle(at: .sample(0))
        self.chat = chat
        self.feed = names[0].feed
        self.requests = names.map(\.request)
    }

    private mutating func receive(_ items: Envelope.Item..., number: UInt64 = 1) {
        self.chat.receive(Envelope(from: .far, to: .near, number: number, view: 1, items: items), at: .sample(0))
    }

    private func entered(_ place: Int, at head: SequenceNumber) -> Envelope.Item {
        let entered = Entered(head: head, oldest: 1, revision: head, ended: nil, present: [], presentCount: 0, isCrowd: false)
        return .answer(self.requests[place], .entered(entered), place: 0)
    }

    private func posted(_ sequence: SequenceNumber) -> Envelope.Item {
        .event(.init(conversation: self.key, event: .posted(.sample(sequence)), revision: sequence, answering: 0, feedPlace: 0))
    }

    @Test("end before the first message behind an entrance, so that whoever came in may ask how far the feed has shown")
    mutating func cut() {
        self.receive(self.entered(0, at: 3), self.posted(4), self.posted(5))
        #expect(self.chat.takeDeliveries().map(\.told) == ["1: entered at 3"])
        #expect(self.chat.shownThrough(self.feed) == 3)
        #expect(self.chat.takeDeliveries().map(\.told) == ["4 words 4", "5 words 5"])
        #expect(self.chat.shownThrough(self.feed) == 5)
        #expect(self.chat.takeDeliveries().isEmpty)
    }

    @Test("are cut behind each of several entrances")
    mutating func cutTwice() {
        self.receive(self.entered(0, at: 3), self.posted(4), self.entered(1, at: 4), self.posted(5))
        #expect(self.chat.takeDeliveries().map(\.told) == ["1: entered at 3"])
        #expect(self.chat.takeDeliveries().map(\.told) == ["4 words 4", "2: entered at 4"])
        #expect(self.chat.shownThrough(self.feed) == 4)
        #expect(self.chat.takeDeliveries().map(\.told) == ["5 words 5"])
    }

    @Test("of messages alone come all at once")
    mutating func uncut() {
        self.receive(self.entered(0, at: 0))
        _ = self.chat.takeDeliveries()
        self.receive(self.posted(1), self.posted(2), self.posted(3), number: 2)
        // None of them has been taken.
        #expect(self.chat.shownThrough(self.feed) == 0)
        #expect(self.chat.takeDeliveries().count == 3)
        #expect(self.chat.shownThrough(self.feed) == 3)
    }

    @Test("know of a feed that is closed that nothing was shown")
    mutating func closedFeed() {
        self.receive(self.entered(0, at: 3), self.entered(1, at: 3))
        _ = self.chat.takeDeliveries()
        self.chat.leave(self.feed, Person.alice.id)
        #expect(self.chat.shownThrough(self.feed) == 3)
        self.chat.leave(self.feed, Person.carol.id)
        #expect(self.chat.shownThrough(self.feed) == 0)
    }

    @Test("have nothing of an answer to what nobody has asked")
    mutating func foreignAnswer() {
        self.receive(.answer(0, .done, place: 0), .answer(self.requests[0] + 5, .done, place: 0))
        #expect(self.chat.takeDeliveries().isEmpty)
        #expect(self.chat.counts.waiting == 2)
    }
}

@Suite("A late answer")
struct LateAnswerTests {
    private let key = Stage.keys(1)[0]

    /// A loop on which bob has said message 1 again, and then hears of its deletion; the owner, and the store, are this test.
    private func asked() -> (chat: ChatLoop, feed: FeedID, request: RequestID) {
        var limits = ChatLimits()
        limits.hold = .seconds(60)
        var chat = ChatLoop(id: .near, view: Stage.view, limits: limits)
        let entrance = Entrance(actor: Actor(person: .bob, isAdmin: false), isListed: true, kind: .conversations)
        let (feed, entering) = chat.enter(self.key, entrance, context: 1, at: .sample(0))
        let entered = Entered(head: 0, oldest: 1, revision: 0, ended: nil, present: [], presentCount: 0, isCrowd: false)
        self.tell(&chat, [.answer(entering, .entered(entered), place: 0), self.event(.posted(.sample(1)), 1)], number: 1)
        while !chat.takeDeliveries().isEmpty {}
        chat.ask(.post(.said("words 1", by: .bob)), in: self.key, through: feed, context: 7, at: .sample(0))
        let request = self.requests(&chat).last!
        self.tell(&chat, [self.event(.deleted(.sample(1).deleted(revision: 2)), 2)], number: 2)
        while !chat.takeDeliveries().isEmpty {}
        return (chat, feed, request)
    }

    private func tell(_ chat: inout ChatLoop, _ items: [Envelope.Item], number: UInt64, at time: Int64 = 0) {
        chat.receive(Envelope(from: .far, to: .near, number: number, view: 1, items: items), at: .sample(time))
    }

    private func event(_ event: ChatEvent, _ revision: Revision) -> Envelope.Item {
        .event(.init(conversation: self.key, event: event, revision: revision, answering: 0, feedPlace: 0))
    }

    private func requests(_ chat: inout ChatLoop) -> [RequestID] {
        chat.settle(at: .sample(0))
        return chat.takeEnvelopes().flatMap(\.items).compactMap { if case .input(let input) = $0 { input.request } else { nil } }
    }

    @Test("that knows nothing of a deletion which was shown is not handed out, and asked for again")
    func outdated() {
        var (chat, _, request) = self.asked()
        self.tell(&chat, [.answer(request, .posted(.sample(1)), place: 0)], number: 3)
        #expect(chat.takeDeliveries().isEmpty)
        #expect(self.requests(&chat) == [request])
        self.tell(&chat, [.answer(request, .posted(.sample(1).deleted(revision: 2)), place: 0)], number: 4)
        #expect(chat.takeDeliveries().map(\.told) == ["7: posted 1"])
    }

    @Test("that is asked for again is handed out after who asked has left as well")
    func outdatedAndGone() {
        var (chat, feed, request) = self.asked()
        // It comes with a change that is ahead of others, and is kept for a repair that nobody waits for any more.
        let early = Envelope.News(
            conversation: self.key, event: .posted(.sample(1)), revision: 9, answering: request, feedPlace: feed.slot)
        self.tell(&chat, [.event(early)], number: 3)
        chat.leave(feed, Person.bob.id)
        #expect(chat.takeDeliveries().isEmpty)
        self.tell(&chat, [.answer(request, .posted(.sample(1).deleted(revision: 2)), place: 0)], number: 4)
        #expect(chat.takeDeliveries().map(\.told) == ["7: posted 1"])
        #expect(chat.counts.waiting == 0)
    }

    @Test("that knows of it is handed out")
    func current() {
        var (chat, _, request) = self.asked()
        self.tell(&chat, [.answer(request, .posted(.sample(1).deleted(revision: 2)), place: 0)], number: 3)
        #expect(chat.takeDeliveries().map(\.told) == ["7: posted 1"])
    }
}

@Suite("Reports of what sockets have taken")
struct ReportingTests {
    let stage = Stage()

    private func reports() -> [String] { self.stage.takeLetters(from: .third, to: .far).filter { $0.contains(" has ") } }

    @Test("leave with the next mail to the owner")
    func withMail() {
        let (alice, bob) = self.stage.gather()
        self.stage.say("one", by: alice)
        self.stage.delivered(1...1, to: bob)
        #expect(self.reports() == [])
        self.stage.say("two", by: alice)
        #expect(self.reports() == [])
        self.stage.say("three", by: bob)
        #expect(self.reports() == ["bob has 1...1"])
        #expect(self.stage.take(on: .near) == ["1 one", "2 two", "[1] delivered", "3 three"])
    }

    @Test("leave alone after a quarter of a second at the earliest and half a second at the latest, several as one")
    func alone() {
        let (alice, bob) = self.stage.gather()
        self.stage.say("one", by: alice)
        self.stage.pass(1000)
        self.stage.say("two", by: alice)
        self.stage.delivered(1...1, to: bob)
        self.stage.delivered(2...2, to: bob)
        self.stage.pass(200)
        #expect(self.reports() == [])
        self.stage.pass(600)
        #expect(self.reports() == ["bob has 1...2"])
        self.stage.pass(2000)
        #expect(self.reports() == [])
    }

    @Test("wait for a second, and a quarter more at the latest, where messages follow each other in less: the next may take them along")
    func busy() {
        let (alice, bob) = self.stage.gather()
        self.stage.say("one", by: alice)
        self.stage.pass(900)
        self.stage.say("two", by: alice)
        self.stage.delivered(1...2, to: bob)
        self.stage.pass(900)
        #expect(self.reports() == [])
        self.stage.say("three", by: alice)
        self.stage.pass(300)
        #expect(self.reports() == ["bob has 1...2"])
        self.stage.delivered(3...3, to: bob)
        self.stage.pass(1000)
        #expect(self.reports() == [])
        self.stage.pass(400)
        #expect(self.reports() == ["bob has 3...3"])
        self.stage.pass(2000)
        #expect(self.reports() == [])
    }

    @Test("leave before the last listener does")
    func farewell() {
        let (alice, bob) = self.stage.gather()
        self.stage.say("one", by: alice)
        self.stage.delivered(1...1, to: bob)
        self.stage.leave(bob)
        #expect(self.stage.takeLetters(from: .third, to: .far).suffix(3) == ["bob has 1...1", "bob leaves", "detach"])
        #expect(self.stage.take(on: .near) == ["1 one"])
        // To its author on another node a report waits for other mail, for a quarter of a second at most.
        self.stage.pass(300)
        #expect(self.stage.take(on: .near).contains("[1] delivered"))
    }

    @Test("that were lost are told again with the next attachment")
    func lost() {
        let (alice, bob) = self.stage.gather()
        self.stage.say("one", by: alice)
        self.stage.delivered(1...1, to: bob)
        self.stage.set(.losing, from: .third, to: .far)
        self.stage.pass(800)
        self.stage.set(.open, from: .third, to: .far)
        self.stage.pass(3000)
        #expect(self.stage.take(on: .near) == ["1 one", "[1] delivered"])
    }
}
