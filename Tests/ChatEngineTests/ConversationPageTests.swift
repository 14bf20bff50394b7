import ChatCore
import ChatModel
import Testing

@testable import ChatEngine

@Suite("A page")
struct ConversationPageTests {
    let cluster = ThreeNodeCluster()

    @Test("comes directly from the store, on any loop")
    func plain() {
        let (_, bob) = self.cluster.subscribeAliceAndBob()
        self.cluster.say("one", by: bob)
        self.cluster.say("two", by: bob)
        self.cluster.read(.before(2), on: .near, context: 7)
        self.cluster.read(.newest, on: .far, context: 8)
        #expect(
            self.cluster.takeDeliveries(on: .near) == ["1 one", "2 two", "7: page [\"1 one\"]"])
        #expect(self.cluster.takeDeliveries(on: .far) == ["8: page [\"1 one\", \"2 two\"]"])
    }

    @Test("that is ahead of the feed waits until the feed has caught up")
    func aheadOfFeed() {
        let (_, bob) = self.cluster.subscribeAliceAndBob()
        self.cluster.set(.holding, from: .far, to: .near)
        self.cluster.say("one", by: bob)
        self.cluster.read(context: 7)
        #expect(self.cluster.takeDeliveries(on: .near) == [])
        self.cluster.releaseEnvelopes()
        #expect(self.cluster.takeDeliveries(on: .near) == ["1 one", "7: page [\"1 one\"]"])
    }

    @Test("waits at most two seconds for a feed under repair")
    func pageTimeout() {
        let (_, bob) = self.cluster.subscribeAliceAndBob()
        self.cluster.set(.holding, from: .far, to: .near)
        self.cluster.say("one", by: bob)
        self.cluster.read(context: 7)
        self.cluster.advance(by: 1900)
        #expect(self.cluster.takeDeliveries(on: .near) == [])
        self.cluster.advance(by: 100)
        #expect(self.cluster.takeDeliveries(on: .near) == ["7: page [\"1 one\"]"])
    }

    @Test("that waits is read again after a reconnect to a store that may be another one")
    func lostStore() {
        var limits = Limits()
        limits.retention = .seconds(60)
        let cluster = ThreeNodeCluster(limits: limits)
        let (_, bob) = cluster.subscribeAliceAndBob()
        let other = cluster.tables
        cluster.set(.holding, from: .far, to: .near)
        cluster.say("one", by: bob)
        cluster.read(context: 7)
        #expect(cluster.takeDeliveries(on: .near) == [])
        cluster.tables = other
        cluster.reconnectStore()
        #expect(cluster.takeDeliveries(on: .near) == ["7: page []"])
    }

    @Test("that waits is delivered when the last subscriber leaves")
    func feedClosed() {
        let (alice, bob) = self.cluster.subscribeAliceAndBob()
        self.cluster.set(.holding, from: .far, to: .near)
        self.cluster.say("one", by: bob)
        self.cluster.read(context: 7)
        self.cluster.unsubscribe(alice)
        #expect(self.cluster.takeDeliveries(on: .near) == ["7: page [\"1 one\"]"])
    }

    @Test(
        "that was read before an amendment that the feed has delivered is read again",
        arguments: [true, false])
    func behindAmendment(isDeletion: Bool) {
        let (_, bob) = self.cluster.subscribeAliceAndBob()
        self.cluster.say("one", by: bob)
        self.cluster.storeBehaviors[.near] = .late
        self.cluster.read(context: 7)
        let actor = Principal(person: .bob, isAdmin: false)
        self.cluster.submit(
            isDeletion ? .delete(1, by: actor) : .edit(1, content: "uno", by: actor), by: bob)
        self.cluster.runUntilIdle()
        self.cluster.clearRecords()
        self.cluster.storeBehaviors[.near] = .working
        self.cluster.answerHeldRequests()
        #expect(
            self.cluster.takeDeliveries(on: .near) == [
                isDeletion ? "7: page [\"1 deleted\"]" : "7: page [\"1 uno\"]"
            ])
    }

    @Test(
        "that was read before a message that the feed has delivered is valid")
    func behindMessages() {
        let (_, bob) = self.cluster.subscribeAliceAndBob()
        self.cluster.say("one", by: bob)
        self.cluster.storeBehaviors[.near] = .late
        self.cluster.read(context: 7)
        self.cluster.say("two", by: bob)
        self.cluster.answerHeldRequests()
        #expect(
            self.cluster.takeDeliveries(on: .near) == ["1 one", "2 two", "7: page [\"1 one\"]"])
    }

    @Test("is read a limited number of times if edits are faster than the store")
    func attempts() {
        let (_, bob) = self.cluster.subscribeAliceAndBob()
        self.cluster.say("one", by: bob)
        self.cluster.storeBehaviors[.near] = .late
        self.cluster.clearRecords()
        self.cluster.read(context: 7)
        for number in 1...ConversationSubscriptions.pageAttempts {
            #expect(self.cluster.takeDeliveries(on: .near).allSatisfy { $0.hasPrefix("edited") })
            self.cluster.submit(
                .edit(1, content: "\(number)", by: Principal(person: .bob, isAdmin: false)), by: bob
            )
            self.cluster.runUntilIdle()
            self.cluster.answerHeldRequests()
        }
        #expect(self.cluster.takeDeliveries(on: .near).last == "7: no page")
        #expect(
            self.cluster.takeStoreRequests(by: .near).count
                == ConversationSubscriptions.pageAttempts)
    }

    @Test("that the store cannot read fails at once")
    func failure() {
        _ = self.cluster.subscribeAliceAndBob()
        self.cluster.storeBehaviors[.near] = .failing
        self.cluster.read(context: 7)
        #expect(self.cluster.takeDeliveries(on: .near) == ["7: no page"])
    }
}
