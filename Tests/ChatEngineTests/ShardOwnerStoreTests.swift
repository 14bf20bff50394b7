import ChatCore
import ChatModel
import ChatSimulation
import EmbeddedStore
import Testing

@testable import ChatEngine

@Suite("An owner and its store")
struct ShardOwnerStoreTests {
    let cluster = ThreeNodeCluster()

    @Test("claim a shard when it is first needed, once for all its conversations")
    func claimsAndLoads() {
        let keys = ThreeNodeCluster.keys(2) { Shard.of($0) == Shard.of(self.cluster.key) }
        self.cluster.storeBehaviors[.far] = .holding
        for key in keys {
            self.cluster.submit(
                .describe(by: Principal(person: .alice, isAdmin: true)), in: key, from: .near,
                context: 7)
        }
        self.cluster.runUntilIdle()
        #expect(self.cluster.takeStoreRequests(by: .far) == ["claim"])
        self.cluster.answerHeldRequests()
        #expect(self.cluster.takeStoreRequests(by: .far) == ["load", "load"])
        self.cluster.answerHeldRequests()
        #expect(
            self.cluster.takeDeliveries(on: .near) == [
                "7: refused: no such conversation", "7: refused: no such conversation",
            ])
        self.cluster.submit(
            .describe(by: Principal(person: .alice, isAdmin: true)), from: .near, context: 7)
        self.cluster.runUntilIdle()
        #expect(self.cluster.takeStoreRequests(by: .far) == [])
    }

    @Test(
        "show operators a shard with its conversations, and an epoch while the claim holds"
    )
    func ownedShards() {
        let (alice, _) = self.cluster.subscribeAliceAndBob()
        let shard = Shard.of(self.cluster.key)
        #expect(
            self.cluster.ownedShards(of: .far) == [
                .init(shard: shard, epoch: 1, conversationCount: 1)
            ])
        self.cluster.resumeAfterStall(.far)
        #expect(
            self.cluster.ownedShards(of: .far) == [
                .init(shard: shard, epoch: nil, conversationCount: 1)
            ])
        self.cluster.say("one", by: alice)
        #expect(
            self.cluster.ownedShards(of: .far) == [
                .init(shard: shard, epoch: 2, conversationCount: 1)
            ])
    }

    @Test("publish no message before it is stored")
    func publishesAfterStoring() {
        let (alice, _) = self.cluster.subscribeAliceAndBob()
        self.cluster.storeBehaviors[.far] = .late
        self.cluster.say("hello", by: alice, context: 7)
        #expect(self.cluster.storedText == ["1 hello"])
        #expect(
            self.cluster.takeDeliveries(on: .near) + self.cluster.takeDeliveries(on: .third) == [])
        self.cluster.answerHeldRequests()
        #expect(self.cluster.takeDeliveries(on: .near) == ["1 hello ← 7"])
    }

    @Test("lose no retried send while writes fail for a while, and store it once")
    func writesFail() {
        let (alice, bob) = self.cluster.subscribeAliceAndBob()
        self.cluster.storeBehaviors[.far] = .failingWrites
        self.cluster.say("one", by: alice, context: 7)
        self.cluster.say("two", by: bob, context: 8)
        self.cluster.advance(by: 4000)
        self.cluster.storeBehaviors[.far] = .working
        self.cluster.advance(by: 1000)
        #expect(Set(self.cluster.takeDeliveries(on: .near)) == ["1 one ← 7", "2 two"])
        #expect(self.cluster.stored.head == 2)
        #expect(self.cluster.counts(of: .near).pending == 0)
    }

    @Test(
        "end sends with `unavailable` while writes fail for long, and recover"
    )
    func writesFailForLong() {
        let (alice, _) = self.cluster.subscribeAliceAndBob()
        self.cluster.storeBehaviors[.far] = .failingWrites
        self.cluster.say("one", by: alice, context: 7)
        self.cluster.advance(by: 5000)
        #expect(self.cluster.takeDeliveries(on: .near) == ["7: unavailable"])
        self.cluster.advance(by: 20_000)
        self.cluster.storeBehaviors[.far] = .working
        self.cluster.advance(by: 1000)
        self.cluster.say("two", by: alice, context: 8)
        #expect(self.cluster.takeDeliveries(on: .near) == ["1 two ← 8"])
        #expect(self.cluster.takeDeliveries(on: .third) == ["1 two"])
    }

    @Test("pause for a quarter of a second after a failure")
    func pausesAfterFailure() {
        let (alice, bob) = self.cluster.subscribeAliceAndBob()
        self.cluster.storeBehaviors[.far] = .failingWrites
        self.cluster.say("one", by: alice, context: 7)
        // The conversation was discarded, and is loaded again by the next request; no other write
        // is sent.
        self.cluster.takeStoreRequests(by: .far).forEach { #expect($0 == "write 1") }
        self.cluster.say("two", by: bob, context: 8)
        #expect(!self.cluster.takeStoreRequests(by: .far).contains { $0.hasPrefix("write") })
        self.cluster.advance(by: 300)
        #expect(self.cluster.takeStoreRequests(by: .far).contains { $0.hasPrefix("write") })
    }

    @Test("retry failed reads until a join succeeds")
    func readsFail() {
        self.cluster.storeBehaviors[.far] = .failing
        _ = self.cluster.subscribe(.alice, on: .near, context: 7)
        self.cluster.advance(by: 4000)
        #expect(self.cluster.takeDeliveries(on: .near) == [])
        // Reads back off as well.
        #expect(self.cluster.takeStoreRequests(by: .far).count <= 4000 / 250 + 1)
        self.cluster.storeBehaviors[.far] = .working
        self.cluster.advance(by: 1000)
        #expect(self.cluster.takeDeliveries(on: .near) == ["7: joined at 0"])
    }

    @Test("retry an edit whose message could not be looked up")
    func searchFails() {
        let (alice, _) = self.cluster.subscribeAliceAndBob()
        self.cluster.say("one", by: alice)
        self.cluster.storeBehaviors[.far] = .failingReads
        self.cluster.submit(
            .edit(1, content: "uno", by: Principal(person: .alice, isAdmin: false)), by: alice,
            context: 7)
        self.cluster.advance(by: 1000)
        self.cluster.storeBehaviors[.far] = .working
        self.cluster.advance(by: 1000)
        #expect(self.cluster.takeDeliveries(on: .near) == ["1 one", "edited 1 uno ← 7"])
    }

    @Test(
        "claim and load again after a write was fenced by another claim"
    )
    func fenced() {
        let (alice, bob) = self.cluster.subscribeAliceAndBob()
        self.cluster.say("one", by: bob)
        self.cluster.claimByAnotherOwner()
        self.cluster.clearRecords()
        self.cluster.say("two", by: alice, context: 7)
        self.cluster.advance(by: 2000)

        #expect(self.cluster.takeDeliveries(on: .near) == ["2 two ← 7"])
        #expect(self.cluster.takeDeliveries(on: .third) == ["2 two"])
        #expect(self.cluster.takeStoreRequests(by: .far).prefix(3) == ["write 1", "claim", "load"])
        // Its subscribers attached again.
        #expect(self.cluster.takeItems(from: .far, to: .third).contains("reattach"))
        self.cluster.say("three", by: bob, context: 8)
        self.cluster.advance(by: 10_000)
        #expect(self.cluster.takeDeliveries(on: .near) == ["3 three"])
    }

    @Test("drop all conversations of a fenced shard, and none of another")
    func fencedShard() {
        let same = ThreeNodeCluster.keys(2) { Shard.of($0) == Shard.of(self.cluster.key) }[1]
        let other = ThreeNodeCluster.keys(1) { Shard.of($0) != Shard.of(self.cluster.key) }[0]
        let (alice, _) = self.cluster.subscribeAliceAndBob()
        for key in [same, other] {
            self.cluster.submit(
                .describe(by: Principal(person: .alice, isAdmin: true)), in: key, from: .near,
                context: 7)
        }
        self.cluster.runUntilIdle()
        #expect(self.cluster.counts(of: .far).owned == 3)
        self.cluster.claimByAnotherOwner()
        self.cluster.set(.losing, from: .far, to: .near)
        self.cluster.set(.losing, from: .far, to: .third)
        self.cluster.say("one", by: alice)
        #expect(self.cluster.counts(of: .far).owned == 1)
    }

    @Test(
        "load again if the store has more than the owner knew, and then repeat the refused send"
    )
    func outOfStep() {
        let (alice, _) = self.cluster.subscribeAliceAndBob()
        self.cluster.storeBehindOwner("unknown")
        self.cluster.say("mine", by: alice, context: 7)
        self.cluster.advance(by: 2000)
        #expect(self.cluster.takeDeliveries(on: .near) == ["1 unknown", "2 mine ← 7"])
        #expect(self.cluster.takeDeliveries(on: .third) == ["1 unknown", "2 mine"])
        // The claim of the shard still holds.
        #expect(!self.cluster.takeStoreRequests(by: .far).contains("claim"))
    }

    @Test("make one message if the store reported a failure of a write that it had executed")
    func storedDespiteError() {
        let (alice, bob) = self.cluster.subscribeAliceAndBob()
        self.cluster.storeBehaviors[.far] = .late
        self.cluster.say("one", by: alice, context: 7)
        self.cluster.say("two", by: bob, context: 8)
        self.cluster.failOldestHeldRequest()
        self.cluster.storeBehaviors[.far] = .working
        // The second write is answered as stored after the conversation was discarded.
        self.cluster.answerHeldRequests()
        self.cluster.advance(by: 3000)
        #expect(self.cluster.storedText == ["1 one", "2 two"])
        #expect(self.cluster.takeDeliveries(on: .near) == ["1 one ← 7", "2 two"])
        #expect(self.cluster.takeDeliveries(on: .third) == ["1 one", "2 two ← 8"])
    }

    @Test("write cursors again that the store did not accept")
    func cursors() {
        let (alice, bob) = self.cluster.subscribeAliceAndBob()
        self.cluster.say("one", by: alice)
        self.cluster.storeBehaviors[.far] = .failingWrites
        self.cluster.submit(.read([1], by: Person.bob.id), by: bob, context: 8)
        self.cluster.advance(by: 3000)
        self.cluster.storeBehaviors[.far] = .working
        self.cluster.advance(by: 3000)
        #expect(self.cluster.storedMembers.first { $0.user == Person.bob.id }?.readCursor == 1)
    }

    @Test(
        "close an idle conversation without subscribers, and load it when it is needed"
    )
    func idle() {
        let (alice, bob) = self.cluster.subscribeAliceAndBob()
        self.cluster.advance(by: 70_000)
        #expect(self.cluster.counts(of: .far).owned == 1)
        self.cluster.unsubscribe(alice)
        self.cluster.unsubscribe(bob)
        self.cluster.advance(by: 62_000)
        #expect(self.cluster.counts(of: .far).owned == 0)

        self.cluster.clearRecords()
        _ = self.cluster.subscribe(.alice, on: .near)
        self.cluster.runUntilIdle()
        #expect(self.cluster.takeStoreRequests(by: .far) == ["load"])
        #expect(self.cluster.takeDeliveries(on: .near) == ["1: joined at 0"])
    }
}

@Suite("An owner with too many writes in flight")
struct WriteLimitTests {
    @Test("refuses sends until the store has caught up")
    func limit() {
        var owner = ShardOwner(id: .far, view: ThreeNodeCluster.view, limits: .init())
        var output = LoopOutput(id: .far)
        var store = MemoryTables(history: 0)
        let key = ThreeNodeCluster.keys(1)[0]
        func handle(_ command: ChatCommand) -> [String] {
            owner.handle(
                .init(conversation: key, input: .command(command), request: 5), from: .far,
                at: .sample(10), output: &output)
            owner.flush(at: .sample(0), output: &output)
            while !output.requests.isEmpty {
                for (request, ticket) in output.takeRequests() {
                    _ = owner.storeAnswered(
                        store.execute(request), ticket: ticket, at: .sample(10), output: &output)
                }
                owner.flush(at: .sample(0), output: &output)
            }
            var items: [Envelope.Item] = []
            output.swapLocal(with: &items)
            return items.map(\.summary)
        }
        let post = ChatCommand.post(.said("hello", by: .alice, id: "a"))
        _ = handle(
            .joinAndSubscribe(
                JoinRequest(
                    principal: Principal(person: .alice, isAdmin: false), isListedInToken: true,
                    template: .closed)))
        #expect(owner.writesInFlight == 0)
        owner.writesInFlight = ShardOwner.writesInFlightLimit
        #expect(handle(post) == ["answer unavailable"])
        owner.writesInFlight -= 1
        #expect(handle(post) == ["event 1 hello"])
    }
}
