import Bytes
import ChatModel
import EmbeddedStore
import SeededRandom
import StoreTestSupport
import Testing

@testable import Webhooks

/// A delivery with a store in memory and endpoints that a test controls. Time is a number.
private struct DeliveryUnderTest {
    let readers: [OutboxReader]
    var delivery: WebhookDelivery
    var store: MemoryTables
    var owners: [TestOwner] = []
    /// The requests without an answer.
    var requests: [(endpoint: Int, event: OutboxEvent)] = []
    /// The ids that each endpoint has received, in order.
    var delivered: [[ByteString]]
    var gone: [Int] = []
    var time: Int64 = 0
    private static let startTime: Int64 = 1_700_000_000_000

    init(endpoints: Int = 1, limit: Int = 1000, conversations: Int = 1) {
        let groups = (0..<endpoints).map { ByteString("group \($0)") }
        self.readers = groups.map { OutboxReader(group: $0, groups: groups, consumer: "n1") }
        self.delivery = WebhookDelivery(endpointCount: endpoints, limit: limit)
        self.delivered = groups.map { _ in [] }
        self.store = MemoryTables(
            history: 100,
            outbox: OutboxWriter(
                limit: 100_000,
                event: { write in
                    guard case .message(let message) = write.change else { return nil }
                    return OutboxEvent(
                        id: ByteString("\(write.conversation.id) \(message.sequence)"),
                        type: "message.created", conversation: write.conversation,
                        queuedAt: message.sentAt, body: [])
                }, appended: { _ in }))
        for number in 0..<conversations {
            let key = ConversationKey(tenant: "acme", id: ByteString("c\(number)"))
            let id = LoopID(incarnation: 1, loop: 0)
            guard case .claimed(let epoch) = self.store.execute(.claim(shard: key.shard, owner: id))
            else { preconditionFailure("the claim of \(key) was refused") }
            var owner = TestOwner(key: key, id: id, epoch: epoch)
            self.write(owner.create(), by: owner)
            self.owners.append(owner)
        }
        self.delivery.own(nil)
    }

    private mutating func write(_ write: Write, by owner: TestOwner) {
        let answer = self.store.execute(.write(WriteBatch(owner: owner.id, writes: [write])))
        guard case .written(.stored) = answer else {
            preconditionFailure("a write was refused: \(answer)")
        }
    }

    var now: WebhookTime {
        WebhookTime(
            wall: Timestamp(milliseconds: Self.startTime + self.time), monotonic: self.time)
    }

    mutating func post(in conversation: Int = 0) {
        let owner = self.owners[conversation]
        self.owners[conversation].head += 1
        let message = Message(
            sequence: self.owners[conversation].head, revision: owner.revision + 1,
            sentAt: self.now.wall,
            body: MessageBody(
                author: TestOwner.person("ann"), clientMessageID: nil, content: ""))
        let write = self.owners[conversation].write(.message(message))
        self.write(write, by: owner)
        self.delivery.hint(0)
        self.run()
    }

    /// Executes directives until nothing is due.
    mutating func run() {
        while true {
            var directives: [WebhookDelivery.WebhookDirective] = []
            self.delivery.advance(now: self.now, into: &directives)
            if directives.isEmpty { return }
            for directive in directives { self.execute(directive) }
        }
    }

    mutating func pass(_ milliseconds: Int64) {
        self.time += milliseconds
        self.run()
    }

    private mutating func answer(_ request: OutboxRequest) -> OutboxAnswer? {
        guard case .outbox(let answer) = self.store.execute(.outbox(request)) else { return nil }
        return answer
    }

    private mutating func execute(_ directive: WebhookDelivery.WebhookDirective) {
        switch directive {
        case .scan(let lanes):
            guard case .lanes(let found)? = self.answer(.scan(lanes: lanes)) else { return }
            self.delivery.scanned(lanes, found)
        case .take(let endpoint, let lane, let after, let recovers):
            let answer = self.answer(
                .take(
                    lane: lane, self.readers[endpoint], after: after, recovers: recovers, limit: 3))
            guard case .taken(let entries, let progress)? = answer else { return }
            self.delivery.taken(
                entries, progress, endpoint: endpoint, group: self.readers[endpoint].group,
                lane: lane, now: self.now)
        case .begin(let endpoint, let lane, let position, let conversation):
            guard
                case .event(let event)? = self.answer(
                    .begin(position, lane: lane, self.readers[endpoint]))
            else { return }
            var directives: [WebhookDelivery.WebhookDirective] = []
            self.delivery.begun(
                .success(event), endpoint: endpoint, lane: lane, position, conversation,
                now: self.now, into: &directives)
            for directive in directives { self.execute(directive) }
        case .send(let endpoint, let event): self.requests.append((endpoint, event))
        case .complete(let endpoint, let lane, let positions):
            _ = self.answer(.complete(positions, lane: lane, self.readers[endpoint]))
            self.delivery.completed(
                succeeded: true, endpoint: endpoint, lane: lane, now: self.now)
        case .bury(let endpoint, let lane, let position, let attempts, let reason):
            let answer = self.answer(
                .bury(
                    position, lane: lane, self.readers[endpoint], attempts: attempts,
                    reason: reason, at: self.now.wall))
            guard case .done(let dropped)? = answer else { return }
            self.delivery.buried(
                dropped: dropped, endpoint: endpoint, lane: lane, position, now: self.now)
        case .logGone(let endpoint): self.gone.append(endpoint)
        }
    }

    /// Answers the request at this index.
    mutating func respond(_ outcome: WebhookOutcome, at index: Int = 0) {
        let (endpoint, event) = self.requests.remove(at: index)
        if outcome == .delivered { self.delivered[endpoint].append(event.id) }
        var directives: [WebhookDelivery.WebhookDirective] = []
        self.delivery.responded(
            outcome, endpoint: endpoint, event.conversation, now: self.now, random: 0,
            into: &directives)
        for directive in directives { self.execute(directive) }
        self.run()
    }

    mutating func letters() -> [DeadLetter] {
        guard case .deadLetters(let letters)? = self.answer(.deadLetters(lanes: [], limit: 100))
        else { return [] }
        return letters
    }

    /// What the store still has.
    mutating func lanes() -> [OutboxLane] {
        guard case .lanes(let lanes)? = self.answer(.scan(lanes: [])) else { return [] }
        return lanes
    }
}

@Suite("The delivery of webhooks")
struct WebhookDeliveryTests {
    @Test("sends the events of a conversation one after the other")
    func order() {
        var test = DeliveryUnderTest()
        for _ in 0..<3 { test.post() }
        #expect(test.requests.map(\.event.id) == ["c0 1"])
        for _ in 0..<3 { test.respond(.delivered) }
        #expect(test.delivered == [["c0 1", "c0 2", "c0 3"]])
        #expect(test.requests.isEmpty)
        #expect(test.lanes().isEmpty)
    }

    @Test("retries a failed event, and delays only its conversation")
    func retry() {
        var test = DeliveryUnderTest(conversations: 2)
        test.post(in: 0)
        test.post(in: 0)
        test.respond(.failed("HTTP 500"))
        test.post(in: 1)
        #expect(test.requests.map(\.event.id) == ["c1 1"])
        test.respond(.delivered)
        test.pass(4999)
        #expect(test.requests.isEmpty)
        test.pass(1)
        #expect(test.requests.map(\.event.id) == ["c0 1"])
        test.respond(.failed("HTTP 500"))
        test.pass(9999)
        #expect(test.requests.isEmpty)
        test.pass(1)
        test.respond(.delivered)
        test.respond(.delivered)
        #expect(test.delivered == [["c1 1", "c0 1", "c0 2"]])
    }

    @Test("does not let one endpoint wait for another")
    func endpoints() {
        var test = DeliveryUnderTest(endpoints: 2, conversations: 100)
        for conversation in 0..<100 { test.post(in: conversation) }
        #expect(test.requests.count == 2 * WebhookDelivery.sendingLimit)
        // The first endpoint hangs.
        while let index = test.requests.firstIndex(where: { $0.endpoint == 1 }) {
            test.respond(.delivered, at: index)
        }
        #expect(test.delivered[1].count == 100)
        #expect(test.delivered[0].isEmpty)
        #expect(test.requests.count == WebhookDelivery.sendingLimit)
        #expect(test.lanes().first?.hasEvents == true)
        while !test.requests.isEmpty { test.respond(.delivered) }
        #expect(test.delivered[0].count == 100)
        #expect(test.lanes().isEmpty)
    }

    @Test("gives an event up after 24 hours, and continues with the next")
    func death() {
        var test = DeliveryUnderTest()
        test.post()
        test.pass(60_000)
        test.post()
        var attempts = 0
        while test.requests.first?.event.id == "c0 1" {
            attempts += 1
            test.respond(.failed("HTTP 500"))
            test.pass(3_600_000)
        }
        #expect(attempts == 25)
        let letters = test.letters()
        #expect(letters.map(\.id) == ["c0 1"])
        #expect(letters.map(\.attempts) == [attempts])
        #expect(letters.map(\.reason) == ["HTTP 500"])
        #expect(test.requests.map(\.event.id) == ["c0 2"])
        // A dead letter that is tried again goes to its endpoint only.
        test.respond(.delivered)
        _ = test.store.execute(
            .outbox(.retry(letters.map(\.position), lane: 0, at: test.now.wall)))
        test.pass(1000)
        #expect(test.requests.map(\.event.id) == ["c0 1"])
        test.respond(.delivered)
        #expect(test.lanes().isEmpty)
    }

    @Test("sends a retried dead letter only to the endpoint that missed it")
    func target() {
        var test = DeliveryUnderTest(endpoints: 2)
        test.post()
        for _ in 0..<2 {
            if test.requests[0].endpoint == 1 {
                test.respond(.delivered)
            } else if test.requests.count == 2 {
                test.respond(.delivered, at: 1)
            }
        }
        test.time += 90_000_000
        test.respond(.failed("HTTP 500"))
        let letters = test.letters()
        #expect(letters.map(\.group) == ["group 0"])
        _ = test.store.execute(
            .outbox(.retry(letters.map(\.position), lane: 0, at: test.now.wall)))
        test.pass(1000)
        #expect(test.requests.map(\.endpoint) == [0])
        test.respond(.delivered)
        #expect(test.lanes().isEmpty)
    }

    @Test("gives up the oldest events beyond its limit")
    func bound() {
        var test = DeliveryUnderTest(limit: 5, conversations: 3)
        for _ in 0..<4 { for conversation in 0..<3 { test.post(in: conversation) } }
        // Three are being sent, and none of these is given up.
        #expect(test.requests.map(\.event.id) == ["c0 1", "c1 1", "c2 1"])
        #expect(test.letters().map(\.id).prefix(3) == ["c0 2", "c1 2", "c2 2"])
        #expect(test.delivery.reports(now: test.now.wall)[0].pending == 5)
        while !test.requests.isEmpty { test.respond(.delivered) }
        let dead = test.letters()
        #expect(dead.count == 7)
        #expect(dead.allSatisfy { $0.reason == "more than 5 events waited" })
        #expect(Set(dead.map(\.id)).isDisjoint(with: test.delivered[0]))
        #expect(test.delivered[0].count == 5)
        #expect(test.lanes().map(\.hasEvents) == [false])
    }

    @Test("sends nothing more to an endpoint that is gone")
    func gone() {
        var test = DeliveryUnderTest(endpoints: 2)
        test.post()
        test.post()
        test.respond(.gone, at: test.requests.firstIndex { $0.endpoint == 0 } ?? 0)
        test.pass(10_000_000)
        #expect(test.gone == [0])
        #expect(test.requests.map(\.endpoint) == [1])
        test.respond(.delivered)
        test.respond(.delivered)
        #expect(test.delivery.reports(now: test.now.wall)[0].state == "gone")
        #expect(test.letters().isEmpty)
        test.pass(86_400_000)
        #expect(test.letters().map(\.id) == ["c0 1", "c0 2"])
        #expect(test.lanes().map(\.hasEvents) == [false])
    }

    @Test("sends presence in order with messages, once")
    func unstored() {
        var test = DeliveryUnderTest()
        test.post()
        let presence = OutboxEvent(
            id: "p", type: "member.online", conversation: test.owners[0].key,
            queuedAt: test.now.wall, body: [])
        test.delivery.append(unstored: [presence])
        test.post()
        test.respond(.delivered)
        #expect(test.requests.map(\.event.id) == ["p"])
        test.respond(.failed("HTTP 500"))
        #expect(test.requests.map(\.event.id) == ["c0 2"])
        #expect(test.delivery.reports(now: test.now.wall)[0].dropped == 1)
    }

    @Test("forgets events of lanes that another node got, and takes them again later")
    func lanes() {
        var test = DeliveryUnderTest()
        for _ in 0..<3 { test.post() }
        test.delivery.own([5])
        test.respond(.delivered)
        #expect(test.requests.isEmpty)
        #expect(test.delivery.reports(now: test.now.wall)[0].pending == 0)
        test.delivery.own([0])
        test.pass(1000)
        test.respond(.delivered)
        test.respond(.delivered)
        #expect(test.delivered == [["c0 1", "c0 2", "c0 3"]])
        #expect(test.lanes().isEmpty)
    }

    @Test("keeps presence that waits behind events of a lane that another node got")
    func unstoredInForeignLane() {
        var test = DeliveryUnderTest()
        test.post()
        let presence = OutboxEvent(
            id: "p", type: "member.online", conversation: test.owners[0].key,
            queuedAt: test.now.wall, body: [])
        test.delivery.append(unstored: [presence])
        // Its message waits for the second attempt.
        test.respond(.failed("HTTP 500"))
        test.delivery.own([5])
        test.run()
        test.respond(.delivered)
        #expect(test.delivered == [["p"]])
        test.delivery.own([0])
        test.pass(1000)
        test.respond(.delivered)
        #expect(test.delivered == [["p", "c0 1"]])
        #expect(test.lanes().isEmpty)
        let report = test.delivery.reports(now: test.now.wall)[0]
        #expect(report.pending == 0 && report.dropped == 0)
    }

    @Test("delivers everything in order, whatever fails", arguments: 0..<50 as Range<UInt64>)
    func random(_ seed: UInt64) {
        var random = SeededGenerator(seed: seed)
        var test = DeliveryUnderTest(endpoints: 3, conversations: 7)
        for _ in 0..<400 {
            switch random.next(below: 10) {
            case 0..<4: test.post(in: random.next(below: 7))
            case 4: test.pass(random.number(1...20_000 as ClosedRange<Int64>))
            default:
                guard !test.requests.isEmpty else { continue }
                let index = random.next(below: test.requests.count)
                let fails = random.next(below: 4) == 0
                test.respond(fails ? .failed("x") : .delivered, at: index)
            }
        }
        for _ in 0..<1000 where !test.lanes().isEmpty || !test.requests.isEmpty {
            while !test.requests.isEmpty { test.respond(.delivered) }
            test.pass(100_000)
        }
        #expect(test.lanes().isEmpty)
        for delivered in test.delivered {
            for owner in test.owners {
                let own = delivered.filter { $0.string.hasPrefix("\(owner.key.id) ") }
                #expect(
                    own == (1..<owner.head + 1).map { ByteString("\(owner.key.id) \($0)") },
                    "seed \(seed)")
            }
        }
    }
}
