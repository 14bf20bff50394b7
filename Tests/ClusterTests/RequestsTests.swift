import ChatCore
import ChatModel
import ChatSimulation
import RepeatableChance
import Testing

@testable import Cluster

@Suite("Requests")
struct RequestsTests {
    private func pending(_ context: UInt64?, deadline: Int64 = 5000, askAgainAt: Int64 = 1000) -> Requests.Pending {
        Requests.Pending(
            conversation: .numbered(1), input: .command(.part(Person.alice.id)), owner: .far, feed: nil, context: context,
            deadline: deadline,
            askAgainAt: askAgainAt, shownThrough: 0)
    }

    @Test(
        "are due when a plain dictionary says so, none lost and none early, under every order of acts", arguments: 0..<12 as Range<UInt64>)
    func oracle(seed: UInt64) {
        var chance = SeededGenerator(seed: seed)
        var requests = Requests()
        struct Known {
            let context: UInt64
            let deadline: Int64
            var due: Int64 { min(self.askAgainAt, self.deadline) }
            var askAgainAt: Int64
        }
        var known: [RequestID: Known] = [:]
        var gone: [RequestID] = []
        var now: Int64 = 50_000
        for context in 1...600 as ClosedRange<UInt64> {
            let askAgainAt = now + chance.number(0...12_000)
            let deadline = chance.happens(perMille: 100) ? .max : now + chance.number(0...9000)
            let id = requests.insert(self.pending(context, deadline: deadline, askAgainAt: askAgainAt))
            #expect(known[id] == nil && !gone.contains(id) && id != 0)
            known[id] = Known(context: context, deadline: deadline, askAgainAt: askAgainAt)

            if chance.happens(perMille: 600), let id = chance.pick(known.keys.sorted()) {
                #expect(requests.remove(id)?.context == known[id]?.context)
                known[id] = nil
                gone.append(id)
            }
            if chance.happens(perMille: 500), let id = chance.pick(known.keys.sorted()) {
                let time = now + chance.number(0...12_000)
                requests.postpone(id, until: time)
                known[id]?.askAgainAt = time
            }
            now += chance.pick([0, 3, 50, 200, 900])!
            let due = requests.takeDue(at: now)
            #expect(Set(due).count == due.count)
            for id in due {
                #expect(known[id].map { $0.due <= now } == true)
                // A request that is due is asked again or ended; else nothing would remind of it.
                requests.postpone(id, until: now + 1000)
                known[id]?.askAgainAt = now + 1000
            }
            #expect(known.values.allSatisfy { $0.due > now - 100 || $0.deadline <= now })
            #expect(requests.count == known.count)
        }
        for id in gone { #expect(requests[id] == nil) }
        for (id, request) in known { #expect(requests[id]?.context == request.context) }
    }

    @Test("do not take an answer to one that is over for the one that stands in its place")
    func reuse() {
        var requests = Requests()
        let first = requests.insert(self.pending(1))
        _ = requests.remove(first)
        let second = requests.insert(self.pending(2))

        #expect(second & 0xFFFF_FFFF == first & 0xFFFF_FFFF)
        #expect(requests[first] == nil)
        #expect(requests.remove(first) == nil)
        requests.cancel(first)
        requests.hold(first, .done)
        requests.postpone(first, until: 0, isAttempt: true)
        #expect(requests[second]?.isCancelled == false)
        #expect(requests[second]?.held == nil)
        #expect(requests[second]?.attempts == 1)
        #expect(requests.remove(second)?.context == 2)
    }

    @Test("know nothing by the number 0, which says that no answer is wanted")
    func zero() {
        var requests = Requests()
        #expect(requests[0] == nil)
        _ = requests.insert(self.pending(1))
        #expect(requests.remove(0) == nil)
    }

    @Test("are due at the end of their time, however far they are postponed")
    func deadline() {
        var requests = Requests()
        let id = requests.insert(self.pending(1, deadline: 3000))
        #expect(requests.takeDue(at: 1000) == [id])
        requests.postpone(id, until: 60_000)
        #expect(requests.takeDue(at: 2900) == [])
        #expect(requests.takeDue(at: 3000) == [id])
    }

    @Test(
        "are due once at a time, however often they were postponed to it",
        arguments: [[2000, 2000], [2000, 1500, 2000], [2000, 1950, 1910]])
    func postponedTwice(times: [Int64]) {
        var requests = Requests()
        let id = requests.insert(self.pending(1))
        for time in times { requests.postpone(id, until: time) }
        var due: [Int64] = []
        for time in stride(from: Int64(100), through: 4900, by: 100) { due += requests.takeDue(at: time).map { _ in time } }
        #expect(due == [2000])
    }

    @Test("lie far ahead without being forgotten")
    func farAhead() {
        var requests = Requests()
        let id = requests.insert(self.pending(1, deadline: .max, askAgainAt: 60_000))
        #expect(stride(from: Int64(0), through: 70_000, by: 500).filter { requests.takeDue(at: $0) == [id] } == [60_000])
    }

    @Test("forget the answer that was held for them when they are asked again")
    func heldAnswer() {
        var requests = Requests()
        let id = requests.insert(self.pending(1))
        requests.hold(id, .done)
        requests.postpone(id, until: 2000)
        #expect(requests[id]?.held != nil)
        requests.postpone(id, until: 2000, isAttempt: true)
        #expect(requests[id]?.held == nil)
        #expect(requests[id]?.attempts == 2)
    }
}
