import Bytes
import ChatModel
import EmbeddedStore
import SeededRandom
import StoreTestSupport
import Testing

@testable import Webhooks

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
        #expect(test.partitions().isEmpty)
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
        #expect(test.partitions().first?.hasEvents == true)
        while !test.requests.isEmpty { test.respond(.delivered) }
        #expect(test.delivered[0].count == 100)
        #expect(test.partitions().isEmpty)
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
            .outbox(.retry(letters.map(\.position), partition: 0, at: test.now.wall)))
        test.pass(1000)
        #expect(test.requests.map(\.event.id) == ["c0 1"])
        test.respond(.delivered)
        #expect(test.partitions().isEmpty)
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
            .outbox(.retry(letters.map(\.position), partition: 0, at: test.now.wall)))
        test.pass(1000)
        #expect(test.requests.map(\.endpoint) == [0])
        test.respond(.delivered)
        #expect(test.partitions().isEmpty)
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
        #expect(test.partitions().map(\.hasEvents) == [false])
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
        #expect(test.partitions().map(\.hasEvents) == [false])
    }

    @Test("sends presence in order with messages, once")
    func unstored() {
        var test = DeliveryUnderTest()
        test.post()
        test.announce()
        test.post()
        test.respond(.delivered)
        #expect(test.requests.map(\.event.id) == ["p"])
        test.respond(.failed("HTTP 500"))
        #expect(test.requests.map(\.event.id) == ["c0 2"])
        #expect(test.delivery.reports(now: test.now.wall)[0].dropped == 1)
    }

    @Test("forgets events of partitions that another node got, and takes them again later")
    func partitions() {
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
        #expect(test.partitions().isEmpty)
    }

    @Test("counts the attempts of an event whose partition moves while it is being sent")
    func attemptsInForeignPartition() {
        var test = DeliveryUnderTest()
        test.post()
        test.respond(.failed("HTTP 500"))
        test.pass(5000)
        test.delivery.own([5])
        // The second pause is twice as long as the first.
        test.respond(.failed("HTTP 500"))
        test.pass(9999)
        #expect(test.requests.isEmpty)
        test.pass(1)
        #expect(test.requests.map(\.event.id) == ["c0 1"])
    }

    @Test("keeps presence that waits behind events of a partition that another node got")
    func unstoredInForeignPartition() {
        var test = DeliveryUnderTest()
        test.post()
        test.announce()
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
        #expect(test.partitions().isEmpty)
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
        for _ in 0..<1000 where !test.partitions().isEmpty || !test.requests.isEmpty {
            while !test.requests.isEmpty { test.respond(.delivered) }
            test.pass(100_000)
        }
        #expect(test.partitions().isEmpty)
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
