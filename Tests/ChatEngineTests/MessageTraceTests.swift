import ChatCore
import ChatModel
import Cluster
import Testing

@testable import ChatEngine

/// `near` accepts alice's messages, `far` owns the conversation, and bob subscribes on `third`.
@Suite("The trace of a message")
struct MessageTraceTests {
    let cluster = ThreeNodeCluster()
    private let alice: ThreeNodeCluster.TestSubscriber
    private let bob: ThreeNodeCluster.TestSubscriber

    init() {
        (self.alice, self.bob) = self.cluster.subscribeAliceAndBob()
        for (index, loop) in ThreeNodeCluster.loops.enumerated() {
            self.cluster.chats[loop]?.traceTime = Int64(index + 1) * 1000
        }
    }

    private func records(of number: SequenceNumber, on loop: LoopID) -> [TraceRecord] {
        self.cluster.chats[loop]?.traceSteps(of: [self.cluster.key.hash: [number]]) ?? []
    }

    private func steps(of number: SequenceNumber, on loop: LoopID) -> [TraceRecord.Step] {
        self.records(of: number, on: loop).map(\.step)
    }

    @Test("has the steps of the accepting, the owning and the receiving loop")
    func path() throws {
        self.cluster.say("one", by: self.alice, context: 7)
        #expect(self.steps(of: 1, on: .near) == [.accepted, .received, .answered])
        #expect(self.steps(of: 1, on: .far) == [.sequenced, .stored, .published])
        #expect(self.steps(of: 1, on: .third) == [.received])

        let accepted = try #require(self.records(of: 1, on: .near).first)
        let sequenced = try #require(self.records(of: 1, on: .far).first)
        #expect(accepted.at == 1000)
        #expect(sequenced.at == 2000)
        #expect(accepted.request == sequenced.request)
        #expect(sequenced.peer == LoopID.near.incarnation)
        #expect(accepted.peer == MessageTrace.hash(of: Person.alice.id))
        #expect(self.records(of: 1, on: .far).last?.count == 2)
    }

    @Test("says that the store publishes the message when it does")
    func publishedWithWrite() {
        self.cluster.publishesWithWrite = true
        self.cluster.say("one", by: self.alice)
        #expect(self.steps(of: 1, on: .far) == [.sequenced, .publishedWithWrite, .stored])
    }

    @Test("names a write that failed, and the retry that succeeded")
    func retry() {
        self.cluster.storeBehaviors[.far] = .failingWrites
        self.cluster.say("one", by: self.alice, context: 7)
        #expect(self.steps(of: 1, on: .far) == [.sequenced, .notStored])
        #expect(self.steps(of: 1, on: .near) == [.accepted])
        self.cluster.storeBehaviors[.far] = .working
        self.cluster.advance(by: 1000)
        #expect(self.steps(of: 1, on: .near) == [.accepted, .resent, .received, .answered])
        #expect(
            self.steps(of: 1, on: .far).suffix(3) == [.sequenced, .stored, .published])
    }

    @Test("ends with the failure of a request that is never stored")
    func failure() {
        self.cluster.storeBehaviors[.far] = .failingWrites
        self.cluster.say("one", by: self.alice, context: 7)
        self.cluster.advance(by: 5000)
        #expect(self.steps(of: 1, on: .near).first == .accepted)
        #expect(self.steps(of: 1, on: .near).last == .failed)
    }

    @Test("shows the retry and the answer if the owner dies after the write, before it publishes")
    func ownerDies() {
        self.cluster.storeBehaviors[.far] = .late
        self.cluster.say("one", by: self.alice, context: 7)
        #expect(self.cluster.storedText == ["1 one"])
        #expect(self.steps(of: 1, on: .near) == [.accepted])
        self.cluster.set(.losing, between: .far, and: .near)
        self.cluster.set(.losing, between: .far, and: .third)
        let survivors = ThreeNodeCluster.view.nodes.filter {
            $0.incarnation != LoopID.far.incarnation
        }
        for loop in [LoopID.near, .third] {
            self.cluster.follow(View(number: 2, nodes: survivors), on: loop)
        }
        self.cluster.advance(by: 3000)
        let steps = self.steps(of: 1, on: .near)
        #expect(steps.first == .accepted && steps.contains(.resent))
        #expect(steps.contains(.received) && steps.contains(.answered))
        #expect(self.steps(of: 1, on: .third).contains(.received))
    }

    @Test("excludes other messages of the conversation, and requests that became other messages")
    func others() {
        self.cluster.say("one", by: self.alice, context: 7)
        self.cluster.say("two", by: self.alice, context: 8)
        #expect(self.records(of: 2, on: .near).allSatisfy { $0.sequence == 2 || $0.sequence == 0 })
        #expect(self.steps(of: 2, on: .near) == [.accepted, .received, .answered])
        #expect(self.steps(of: 3, on: .near) == [])
    }

    @Test("has the sockets of each loop, and a delivery that covers several messages")
    func sockets() {
        for text in ["one", "two", "three"] { self.cluster.say(text, by: self.alice) }
        self.cluster.chats[.third]?.recordWritten(2, in: self.cluster.key.hash, toSockets: 5)
        self.cluster.chats[.third]?.recordDelivered(2...3, in: self.cluster.key)
        #expect(self.records(of: 2, on: .third).map(\.count) == [0, 5, 2])
        #expect(self.steps(of: 1, on: .third) == [.received])
        #expect(self.steps(of: 3, on: .third) == [.received, .delivered])
    }

    @Test("finds the messages from and to a user, and requests without a number")
    func messagesOfUser() throws {
        self.cluster.say("one", by: self.alice, context: 7)
        self.cluster.storeBehaviors[.far] = .holding
        self.cluster.say("two", by: self.alice, context: 8)
        let sent = self.cluster.chats[.near]?.traceMessages(
            of: [Person.alice.id], subscribedTo: [], since: 0, limit: 10)
        #expect(sent?.map(\.sequence) == [1, 0])
        #expect(sent?.allSatisfy { $0.conversation == self.cluster.key.hash } == true)
        let received = self.cluster.chats[.third]?.traceMessages(
            of: [Person.bob.id], subscribedTo: [self.cluster.key.hash], since: 0, limit: 10)
        #expect(received?.map(\.sequence) == [1])
        #expect(received?.first?.request == 0)
        let later = self.cluster.chats[.third]?.traceMessages(
            of: [Person.bob.id], subscribedTo: [self.cluster.key.hash], since: 3000, limit: 10)
        #expect(later == [])
    }

    @Test("keeps the newest steps in a ring of fixed size")
    func ring() {
        var limits = Limits()
        limits.traceSteps = 8
        let cluster = ThreeNodeCluster(limits: limits)
        let (alice, _) = cluster.subscribeAliceAndBob()
        for number in 1...5 { cluster.say("message \(number)", by: alice) }
        let key = cluster.key.hash
        let kept = (1...5).map { cluster.chats[.far]?.traceSteps(of: [key: [$0]]).count }
        #expect(kept == [0, 0, 2, 3, 3])
    }

    @Test("gives the time since a node accepted the message, by the clock that all nodes share")
    func latency() {
        for loop in ThreeNodeCluster.loops { self.cluster.chats[loop]?.setWallOffset(5_000_000) }
        self.cluster.chats[.near]?.traceTime = 1_000_000
        self.cluster.chats[.third]?.traceTime = 9_000_000
        var accepted: [Int64] = []
        self.cluster.onPosted = { accepted.append($0.acceptedAt) }
        self.cluster.say("one", by: self.alice)
        #expect(accepted == [6000, 6000])
        #expect(self.cluster.chats[.third]?.microseconds(since: 6000) == 8000)
        // The clocks may differ by more than the message took.
        #expect(self.cluster.chats[.near]?.microseconds(since: 60_000) == 0)
    }
}
