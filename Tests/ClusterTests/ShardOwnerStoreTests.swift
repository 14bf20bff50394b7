import ChatCore
import ChatModel
import EmbeddedStore
import Testing

@testable import Cluster

@Suite("An owner and its store")
struct ShardOwnerStoreTests {
    let cluster = ThreeNodeCluster()

    @Test("claims a shard when it is first needed, once for all its conversations, and loads each")
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
        "names a shard with its conversations to operators, with an epoch as long as its claim holds"
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

    @Test("tells nobody of a message before it is stored")
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

    @Test("that takes no writes for a while loses no send that is asked again, and makes it once")
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
        #expect(self.cluster.counts(of: .near).waiting == 0)
    }

    @Test(
        "that takes no writes for long ends sends with `unavailable`, keeps connections, and heals by itself"
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

    @Test("that has just failed is spared for a quarter of a second")
    func pausesAfterFailure() {
        let (alice, bob) = self.cluster.subscribeAliceAndBob()
        self.cluster.storeBehaviors[.far] = .failingWrites
        self.cluster.say("one", by: alice, context: 7)
        // The conversation was given up, and is loaded again by whoever needs it; of writes none is tried.
        self.cluster.takeStoreRequests(by: .far).forEach { #expect($0 == "write 1") }
        self.cluster.say("two", by: bob, context: 8)
        #expect(!self.cluster.takeStoreRequests(by: .far).contains { $0.hasPrefix("write") })
        self.cluster.advance(by: 300)
        #expect(self.cluster.takeStoreRequests(by: .far).contains { $0.hasPrefix("write") })
    }

    @Test("that cannot be read is asked again until somebody who wants to come in is let in")
    func readsFail() {
        self.cluster.storeBehaviors[.far] = .failing
        _ = self.cluster.subscribe(.alice, on: .near, context: 7)
        self.cluster.advance(by: 4000)
        #expect(self.cluster.takeDeliveries(on: .near) == [])
        // Reads are spared as well.
        #expect(self.cluster.takeStoreRequests(by: .far).count <= 4000 / 250 + 1)
        self.cluster.storeBehaviors[.far] = .working
        self.cluster.advance(by: 1000)
        #expect(self.cluster.takeDeliveries(on: .near) == ["7: entered at 0"])
    }

    @Test("that cannot look a message up lets its edit be asked again")
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
        "that refuses a write because another has claimed the shard makes it claim again, load again and go on"
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
        // Its listeners were called back, and are there as before.
        #expect(self.cluster.takeItems(from: .far, to: .third).contains("attach again"))
        self.cluster.say("three", by: bob, context: 8)
        self.cluster.advance(by: 10_000)
        #expect(self.cluster.takeDeliveries(on: .near) == ["3 three"])
    }

    @Test("that is fenced loses all conversations of that shard, and none of another")
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
        "that has more than it knew refuses, and is loaded again: what it has is shown, then what was refused"
    )
    func outOfStep() {
        let (alice, _) = self.cluster.subscribeAliceAndBob()
        self.cluster.storeBehindOwner("unknown")
        self.cluster.say("mine", by: alice, context: 7)
        self.cluster.advance(by: 2000)
        #expect(self.cluster.takeDeliveries(on: .near) == ["1 unknown", "2 mine ← 7"])
        #expect(self.cluster.takeDeliveries(on: .third) == ["1 unknown", "2 mine"])
        // The shard is still its own.
        #expect(!self.cluster.takeStoreRequests(by: .far).contains("claim"))
    }

    @Test("that said a write had failed, and had done it, made one message all the same")
    func storedDespiteError() {
        let (alice, bob) = self.cluster.subscribeAliceAndBob()
        self.cluster.storeBehaviors[.far] = .late
        self.cluster.say("one", by: alice, context: 7)
        self.cluster.say("two", by: bob, context: 8)
        self.cluster.failOldestHeldRequest()
        self.cluster.storeBehaviors[.far] = .working
        // The second is answered as stored after the conversation was given up.
        self.cluster.answerHeldRequests()
        self.cluster.advance(by: 3000)
        #expect(self.cluster.storedText == ["1 one", "2 two"])
        #expect(self.cluster.takeDeliveries(on: .near) == ["1 one ← 7", "2 two"])
        #expect(self.cluster.takeDeliveries(on: .third) == ["1 one", "2 two ← 8"])
    }

    @Test("gets cursors again that it did not take")
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
        "part from a conversation that nobody hears when it has rested, and load it again when it is needed"
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
        #expect(self.cluster.takeDeliveries(on: .near) == ["1: entered at 0"])
    }
}

@Suite("An owner with too many writes under way")
struct WriteLimitTests {
    @Test("refuses sends until the store has caught up")
    func limit() {
        var owner = ShardOwner(id: .far, view: ThreeNodeCluster.view, limits: .init())
        var outbox = Outbox(id: .far)
        var store = MemoryTables(history: 0)
        let key = ThreeNodeCluster.keys(1)[0]
        func handle(_ command: ChatCommand) -> [String] {
            owner.handle(
                .init(conversation: key, input: .command(command), request: 5), from: .far,
                at: .sample(10), outbox: &outbox)
            owner.flush(at: .sample(0), outbox: &outbox)
            while !outbox.requests.isEmpty {
                for (request, ticket) in outbox.takeRequests() {
                    _ = owner.storeAnswered(
                        store.execute(request), ticket: ticket, at: .sample(10), outbox: &outbox)
                }
                owner.flush(at: .sample(0), outbox: &outbox)
            }
            var items: [Envelope.Item] = []
            outbox.swapLocal(with: &items)
            return items.map(\.summary)
        }
        let post = ChatCommand.post(.said("hello", by: .alice, id: "a"))
        _ = handle(
            .joinAndSubscribe(
                JoinRequest(
                    principal: Principal(person: .alice, isAdmin: false), isListedInToken: true,
                    kind: .conversations)))
        #expect(owner.writesInFlight == 0)
        owner.writesInFlight = ShardOwner.writesInFlightLimit
        #expect(handle(post) == ["answer unavailable"])
        owner.writesInFlight -= 1
        #expect(handle(post) == ["event 1 hello"])
    }
}
