import ChatCore
import ChatModel
import ChatSimulation
import SeededRandom
import Testing

@testable import ChatEngine

@Suite("Requests")
struct OwnerRequestsTests {
    private func request(
        _ context: RequestContextID?, deadline: Int64 = 5000, retryAt: Int64 = 1000
    ) -> OwnerRequests.OwnerRequest {
        OwnerRequests.OwnerRequest(
            conversation: .numbered(1), input: .command(.leave(Person.alice.id)), owner: .far,
            feed: nil, context: context,
            deadline: deadline,
            retryAt: retryAt, deliveredThrough: 0)
    }

    @Test(
        "are due as in a dictionary, none lost and none early, in any order of operations",
        arguments: 0..<12 as Range<UInt64>)
    func oracle(seed: UInt64) {
        var random = SeededGenerator(seed: seed)
        var requests = OwnerRequests()
        struct ExpectedRequest {
            let context: RequestContextID
            let deadline: Int64
            var due: Int64 { min(self.retryAt, self.deadline) }
            var retryAt: Int64
        }
        var expected: [RequestID: ExpectedRequest] = [:]
        var removed: [RequestID] = []
        var now: Int64 = 50_000
        for number in 1...600 as ClosedRange<UInt64> {
            let context = RequestContextID(rawValue: number)
            let retryAt = now + random.number(0...12_000)
            let deadline = random.happens(perMille: 100) ? .max : now + random.number(0...9000)
            let id = requests.insert(self.request(context, deadline: deadline, retryAt: retryAt))
            #expect(expected[id] == nil && !removed.contains(id) && id != 0)
            expected[id] = ExpectedRequest(context: context, deadline: deadline, retryAt: retryAt)

            if random.happens(perMille: 600),
                let id = random.pick(expected.keys.sorted { $0.rawValue < $1.rawValue })
            {
                #expect(requests.remove(id)?.context == expected[id]?.context)
                expected[id] = nil
                removed.append(id)
            }
            if random.happens(perMille: 500),
                let id = random.pick(expected.keys.sorted { $0.rawValue < $1.rawValue })
            {
                let time = now + random.number(0...12_000)
                requests.postpone(id, until: time)
                expected[id]?.retryAt = time
            }
            now += random.pick([0, 3, 50, 200, 900])!
            let due = requests.takeDue(at: now)
            #expect(Set(due).count == due.count)
            for id in due {
                #expect(expected[id].map { $0.due <= now } == true)
                // A request that is due is retried or ended; otherwise it would never be due again.
                requests.postpone(id, until: now + 1000)
                expected[id]?.retryAt = now + 1000
            }
            #expect(expected.values.allSatisfy { $0.due > now - 100 || $0.deadline <= now })
            #expect(requests.count == expected.count)
        }
        for id in removed { #expect(requests[id] == nil) }
        for (id, request) in expected { #expect(requests[id]?.context == request.context) }
    }

    @Test(
        "that are sends through a feed name their unanswered predecessor",
        arguments: 0..<12 as Range<UInt64>)
    func order(seed: UInt64) {
        var random = SeededGenerator(seed: seed)
        var requests = OwnerRequests()
        var feeds = FeedTable()
        let slots = (0..<3).map { feeds.open(Feed(key: .numbered($0), owner: .far)) }
        let feedIDs = slots.map { feeds.id(at: $0) }
        var queues: [FeedID: [RequestID]] = [:]
        var now: Int64 = 1000
        for number in 0..<800 {
            let feed = random.pick(feedIDs)!
            now += random.number(0...120)
            switch random.number(0...9) {
            case 0...4:
                let isSend = random.happens(perMille: 800)
                let command: ChatCommand =
                    isSend ? .post(.said("\(number)", by: .alice)) : .leave(Person.alice.id)
                let id = requests.insert(
                    OwnerRequests.OwnerRequest(
                        conversation: .numbered(1), input: .command(command), owner: .far,
                        feed: feed, context: nil, deadline: .max,
                        retryAt: now + 1000, deliveredThrough: 0))
                if isSend {
                    queues[feed, default: []].append(id)
                } else {
                    #expect(requests.sendOrder(of: id) == .none)
                }
            case 5...7:
                guard let id = random.pick(queues[feed] ?? []) else { continue }
                if random.happens(perMille: 500) {
                    _ = requests.remove(id)
                } else {
                    requests.deferAnswer(to: id, .done)
                }
                queues[feed]!.removeAll { $0 == id }
            case 8:
                guard let id = random.pick(queues[feed] ?? []) else { continue }
                requests.backOff(id, until: now + 250, at: now)
            default:
                if random.happens(perMille: 100) {
                    requests.removeQueue(of: feed.slot)
                    for id in queues[feed] ?? [] { #expect(requests.sendOrder(of: id) == .none) }
                    queues[feed] = []
                }
                let due = requests.takeDue(at: now)
                for id in due { requests.postpone(id, until: now + 1000, isAttempt: true) }
                let orders = due.map { requests.sendOrder(of: $0).number }
                #expect(orders == orders.sorted())
            }
            for queue in queues.values where !queue.isEmpty {
                let orders = queue.map { requests.sendOrder(of: $0) }
                #expect(orders.map(\.after) == [0] + orders.dropLast().map(\.number))
                #expect(
                    orders.map(\.number) == orders.map(\.number).sorted()
                        && !orders.contains { $0.number == 0 })
            }
        }
    }

    @Test(
        "that are sends back off together, including later ones, and are due in order"
    )
    func backOff() {
        var requests = OwnerRequests()
        var feeds = FeedTable()
        let slot = feeds.open(Feed(key: .numbered(1), owner: .far))
        let feed = feeds.id(at: slot)
        func send(at now: Int64) -> RequestID {
            requests.insert(
                OwnerRequests.OwnerRequest(
                    conversation: .numbered(1), input: .command(.post(.said("x", by: .alice))),
                    owner: .far, feed: feed, context: nil,
                    deadline: .max, retryAt: now + 1000, deliveredThrough: 0))
        }
        let first = [send(at: 0), send(at: 10), send(at: 20)]
        #expect(!first.contains { requests.isBackedOff($0) })
        requests.backOff(first[2], until: 300, at: 50)
        requests.backOff(first[1], until: 400, at: 150)
        let later = send(at: 200)
        #expect(requests.isBackedOff(later))
        #expect(requests.takeDue(at: 250) == [])
        #expect(requests.takeDue(at: 300) == first + [later])
        requests.postpone(first[0], until: 1300, isAttempt: true)
        #expect(!requests.isBackedOff(send(at: 310)))
    }

    @Test("that are sends of a closed feed are due in the order in which they were made")
    func closedFeed() {
        var requests = OwnerRequests()
        var feeds = FeedTable()
        let slot = feeds.open(Feed(key: .numbered(1), owner: .far))
        let feed = feeds.id(at: slot)
        // Their slots are used again in another order.
        for earlier in (0..<6).map({ _ in requests.insert(self.request(nil)) }) {
            _ = requests.remove(earlier)
        }
        // The second one has the earliest retry, so that it is scheduled again later.
        let sends = [1000, 950, 1000, 980, 1000].map { (retryAt: Int64) in
            requests.insert(
                OwnerRequests.OwnerRequest(
                    conversation: .numbered(1), input: .command(.post(.said("x", by: .alice))),
                    owner: .far, feed: feed, context: nil, deadline: .max, retryAt: retryAt,
                    deliveredThrough: 0))
        }
        requests.removeQueue(of: feed.slot)
        #expect(requests.all == sends)
        #expect(requests.takeDue(at: 1000) == sends)
    }

    @Test("are not confused with an earlier request in the same slot")
    func reuse() {
        var requests = OwnerRequests()
        let first = requests.insert(self.request(1))
        _ = requests.remove(first)
        let second = requests.insert(self.request(2))

        #expect(second.rawValue & 0xFFFF_FFFF == first.rawValue & 0xFFFF_FFFF)
        #expect(requests[first] == nil)
        #expect(requests.remove(first) == nil)
        requests.cancel(first)
        requests.deferAnswer(to: first, .done)
        requests.postpone(first, until: 0, isAttempt: true)
        #expect(requests[second]?.isCancelled == false)
        #expect(requests[second]?.deferredAnswer == nil)
        #expect(requests[second]?.attempts == 1)
        #expect(requests.remove(second)?.context == 2)
    }

    @Test("do not include the number 0, which means that no answer is needed")
    func zero() {
        var requests = OwnerRequests()
        #expect(requests[0] == nil)
        _ = requests.insert(self.request(1))
        #expect(requests.remove(0) == nil)
    }

    @Test("are due at their deadline, however far they are postponed")
    func deadline() {
        var requests = OwnerRequests()
        let id = requests.insert(self.request(1, deadline: 3000))
        #expect(requests.takeDue(at: 1000) == [id])
        requests.postpone(id, until: 60_000)
        #expect(requests.takeDue(at: 2900) == [])
        #expect(requests.takeDue(at: 3000) == [id])
    }

    @Test(
        "are due once, however often they were postponed to the same time",
        arguments: [[2000, 2000], [2000, 1500, 2000], [2000, 1950, 1910]])
    func postponedTwice(times: [Int64]) {
        var requests = OwnerRequests()
        let id = requests.insert(self.request(1))
        for time in times { requests.postpone(id, until: time) }
        var due: [Int64] = []
        for time in stride(from: Int64(100), through: 4900, by: 100) {
            due += requests.takeDue(at: time).map { _ in time }
        }
        #expect(due == [2000])
    }

    @Test("that are due far in the future are not lost")
    func farAhead() {
        var requests = OwnerRequests()
        let id = requests.insert(self.request(1, deadline: .max, retryAt: 60_000))
        #expect(
            stride(from: Int64(0), through: 70_000, by: 500).filter {
                requests.takeDue(at: $0) == [id]
            } == [60_000])
    }

    @Test("drop their deferred answer when they are retried")
    func deferredAnswer() {
        var requests = OwnerRequests()
        let id = requests.insert(self.request(1))
        requests.deferAnswer(to: id, .done)
        requests.postpone(id, until: 2000)
        #expect(requests[id]?.deferredAnswer != nil)
        requests.postpone(id, until: 2000, isAttempt: true)
        #expect(requests[id]?.deferredAnswer == nil)
        #expect(requests[id]?.attempts == 2)
    }
}
