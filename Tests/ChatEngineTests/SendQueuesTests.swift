import ChatCore
import Testing

@testable import ChatEngine

@Suite("Send queues")
struct SendQueuesTests {
    /// Performs steps such as `7` (request 7 is sent to feed 0), `7@1` (to feed 1), `-7` (request 7
    /// is answered) and `x1` (feed 1 closes).
    private static func queues(after steps: String) -> SendQueues {
        var queues = SendQueues()
        for step in steps.split(separator: " ") {
            let fields = step.split(separator: "@")
            if step.hasPrefix("-") {
                queues.remove(UInt32(step.dropFirst())!)
            } else if step.hasPrefix("x") {
                queues.removeAll(of: UInt32(step.dropFirst())!)
            } else {
                _ = queues.append(UInt32(fields[0])!, to: fields.count > 1 ? UInt32(fields[1])! : 0)
            }
        }
        return queues
    }

    @Test(
        "name the previous unanswered send of the same feed",
        arguments: [
            // Steps, request, position of the request and of its predecessor, predecessor.
            ("7", 7, 1, 0, nil),
            ("7 3", 3, 2, 1, 7),
            ("7 3 5", 5, 3, 2, 3),
            ("7 3@1", 3, 2, 0, nil),
            ("7 3@1 5", 5, 3, 1, 7),
            // The predecessor has its answer.
            ("7 3 -7", 3, 2, 0, nil),
            ("7 3 5 -3", 5, 3, 1, 7),
            ("7 3 5 -5 6", 6, 4, 2, 3),
            ("7 -7 3", 3, 2, 0, nil),
            // A slot is used again.
            ("7 3 -7 7", 7, 3, 2, 3),
            // An answered or unknown request has no order.
            ("7 -7", 7, 0, 0, nil),
            ("7 -7 -7 3 5", 5, 3, 2, 3),
            ("7", 2, 0, 0, nil),
            ("", 9, 0, 0, nil),
            // A closed feed has no order; other feeds keep theirs.
            ("7@1 3@1 5 6 x1", 3, 0, 0, nil),
            ("7@1 3@1 5 6 x1", 6, 4, 3, 5),
            ("7@1 3@1 x1 5@1", 5, 3, 0, nil),
            ("7 x4", 7, 1, 0, nil),
        ] as [(String, UInt32, UInt64, UInt64, UInt32?)])
    func order(
        steps: String, request: UInt32, number: UInt64, after: UInt64, predecessor: UInt32?
    ) {
        let queues = Self.queues(after: steps)
        #expect(queues.order(of: request) == SendOrder(number: number, after: after))
        #expect(queues.predecessor(of: request) == predecessor)
    }

    @Test("a refused send backs off its feed's queue, and no other")
    func backoff() {
        var queues = Self.queues(after: "7 3 5@1")
        #expect(queues.backOff(3, until: 100, at: 50) == 100)
        #expect(queues.append(8, to: 0) == 100, "later sends wait as well")
        #expect(queues.append(9, to: 1) == nil)
        // A second refusal does not prolong the backoff.
        #expect(queues.backOff(7, until: 140, at: 90) == 100)
        #expect(queues.backOff(7, until: 200, at: 100) == 200)
    }

    @Test(
        "end the backoff of a queue when a send is repeated or none is left",
        arguments: [(true, "", nil), (false, "-7 -3", nil), (false, "-7", 100), (false, "", 100)]
            as [(Bool, String, Int64?)])
    func endOfBackoff(isResumed: Bool, steps: String, backedOffUntil: Int64?) {
        var queues = Self.queues(after: "7 3")
        _ = queues.backOff(3, until: 100, at: 50)
        if isResumed { queues.resume(7) }
        for step in steps.split(separator: " ") { queues.remove(UInt32(step.dropFirst())!) }
        #expect(queues.append(8, to: 0) == backedOffUntil)
    }

    @Test("back off no request that is in no queue")
    func noQueue() {
        var queues = Self.queues(after: "7 -7")
        #expect(queues.backOff(7, until: 100, at: 50) == nil)
        #expect(queues.backOff(4, until: 100, at: 50) == nil)
        queues.resume(4)
        #expect(queues.append(3, to: 0) == nil)
    }
}
