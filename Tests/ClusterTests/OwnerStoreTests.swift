import ChatCore
import ChatModel
import EmbeddedStore
import Testing

@testable import Cluster

@Suite("An owner and its store")
struct OwnerStoreTests {
    let stage = Stage()

    @Test("claims a shard when it is first needed, once for all its conversations, and loads each")
    func claim() {
        let keys = Stage.keys(2) { Shard.of($0) == Shard.of(self.stage.key) }
        self.stage.moods[.far] = .holding
        for key in keys { self.stage.ask(.describe(by: Actor(person: .alice, isAdmin: true)), in: key, from: .near, context: 7) }
        self.stage.settle()
        #expect(self.stage.takeAsked(by: .far) == ["claim"])
        self.stage.answerHeld()
        #expect(self.stage.takeAsked(by: .far) == ["load", "load"])
        self.stage.answerHeld()
        #expect(self.stage.take(on: .near) == ["7: refused: no such conversation", "7: refused: no such conversation"])
        self.stage.ask(.describe(by: Actor(person: .alice, isAdmin: true)), from: .near, context: 7)
        self.stage.settle()
        #expect(self.stage.takeAsked(by: .far) == [])
    }

    @Test("names a shard with its conversations to operators, with an epoch as long as its claim holds")
    func holdings() {
        let (alice, _) = self.stage.gather()
        let shard = Shard.of(self.stage.key)
        #expect(self.stage.holdings(of: .far) == [.init(shard: shard, epoch: 1, conversations: 1)])
        self.stage.wake(.far)
        #expect(self.stage.holdings(of: .far) == [.init(shard: shard, epoch: nil, conversations: 1)])
        self.stage.say("one", by: alice)
        #expect(self.stage.holdings(of: .far) == [.init(shard: shard, epoch: 2, conversations: 1)])
    }

    @Test("tells nobody of a message before it is stored")
    func storedFirst() {
        let (alice, _) = self.stage.gather()
        self.stage.moods[.far] = .late
        self.stage.say("hello", by: alice, context: 7)
        #expect(self.stage.storedWords == ["1 hello"])
        #expect(self.stage.take(on: .near) + self.stage.take(on: .third) == [])
        self.stage.answerHeld()
        #expect(self.stage.take(on: .near) == ["1 hello ← 7"])
    }

    @Test("that takes no writes for a while loses no send that is asked again, and makes it once")
    func writesFail() {
        let (alice, bob) = self.stage.gather()
        self.stage.moods[.far] = .failingWrites
        self.stage.say("one", by: alice, context: 7)
        self.stage.say("two", by: bob, context: 8)
        self.stage.pass(4000)
        self.stage.moods[.far] = .working
        self.stage.pass(1000)
        #expect(Set(self.stage.take(on: .near)) == ["1 one ← 7", "2 two"])
        #expect(self.stage.stored.head == 2)
        #expect(self.stage.counts(of: .near).waiting == 0)
    }

    @Test("that takes no writes for long ends sends with `unavailable`, keeps connections, and heals by itself")
    func writesFailForLong() {
        let (alice, _) = self.stage.gather()
        self.stage.moods[.far] = .failingWrites
        self.stage.say("one", by: alice, context: 7)
        self.stage.pass(5000)
        #expect(self.stage.take(on: .near) == ["7: unavailable"])
        self.stage.pass(20_000)
        self.stage.moods[.far] = .working
        self.stage.pass(1000)
        self.stage.say("two", by: alice, context: 8)
        #expect(self.stage.take(on: .near) == ["1 two ← 8"])
        #expect(self.stage.take(on: .third) == ["1 two"])
    }

    @Test("that has just failed is spared for a quarter of a second")
    func pause() {
        let (alice, bob) = self.stage.gather()
        self.stage.moods[.far] = .failingWrites
        self.stage.say("one", by: alice, context: 7)
        // The conversation was given up, and is loaded again by whoever needs it; of writes none is tried.
        self.stage.takeAsked(by: .far).forEach { #expect($0 == "write 1") }
        self.stage.say("two", by: bob, context: 8)
        #expect(!self.stage.takeAsked(by: .far).contains { $0.hasPrefix("write") })
        self.stage.pass(300)
        #expect(self.stage.takeAsked(by: .far).contains { $0.hasPrefix("write") })
    }

    @Test("that cannot be read is asked again until somebody who wants to come in is let in")
    func readsFail() {
        self.stage.moods[.far] = .failing
        _ = self.stage.enter(.alice, on: .near, context: 7)
        self.stage.pass(4000)
        #expect(self.stage.take(on: .near) == [])
        // Reads are spared as well.
        #expect(self.stage.takeAsked(by: .far).count <= 4000 / 250 + 1)
        self.stage.moods[.far] = .working
        self.stage.pass(1000)
        #expect(self.stage.take(on: .near) == ["7: entered at 0"])
    }

    @Test("that cannot look a message up lets its edit be asked again")
    func searchFails() {
        let (alice, _) = self.stage.gather()
        self.stage.say("one", by: alice)
        self.stage.moods[.far] = .failingReads
        self.stage.ask(.edit(1, content: "uno", by: Actor(person: .alice, isAdmin: false)), by: alice, context: 7)
        self.stage.pass(1000)
        self.stage.moods[.far] = .working
        self.stage.pass(1000)
        #expect(self.stage.take(on: .near) == ["1 one", "edited 1 uno ← 7"])
    }

    @Test("that refuses a write because another has claimed the shard makes it claim again, load again and go on")
    func fenced() {
        let (alice, bob) = self.stage.gather()
        self.stage.say("one", by: bob)
        self.stage.claimByStranger()
        self.stage.forget()
        self.stage.say("two", by: alice, context: 7)
        self.stage.pass(2000)

        #expect(self.stage.take(on: .near) == ["2 two ← 7"])
        #expect(self.stage.take(on: .third) == ["2 two"])
        #expect(self.stage.takeAsked(by: .far).prefix(3) == ["write 1", "claim", "load"])
        // Its listeners were called back, and are there as before.
        #expect(self.stage.takeLetters(from: .far, to: .third).contains("attach again"))
        self.stage.say("three", by: bob, context: 8)
        self.stage.pass(10_000)
        #expect(self.stage.take(on: .near) == ["3 three"])
    }

    @Test("that is fenced loses all conversations of that shard, and none of another")
    func fencedShard() {
        let same = Stage.keys(2) { Shard.of($0) == Shard.of(self.stage.key) }[1]
        let other = Stage.keys(1) { Shard.of($0) != Shard.of(self.stage.key) }[0]
        let (alice, _) = self.stage.gather()
        for key in [same, other] { self.stage.ask(.describe(by: Actor(person: .alice, isAdmin: true)), in: key, from: .near, context: 7) }
        self.stage.settle()
        #expect(self.stage.counts(of: .far).owned == 3)
        self.stage.claimByStranger()
        self.stage.set(.losing, from: .far, to: .near)
        self.stage.set(.losing, from: .far, to: .third)
        self.stage.say("one", by: alice)
        #expect(self.stage.counts(of: .far).owned == 1)
    }

    @Test("that has more than it knew refuses, and is loaded again: what it has is shown, then what was refused")
    func outOfStep() {
        let (alice, _) = self.stage.gather()
        self.stage.storeBehindTheBack("unknown")
        self.stage.say("mine", by: alice, context: 7)
        self.stage.pass(2000)
        #expect(self.stage.take(on: .near) == ["1 unknown", "2 mine ← 7"])
        #expect(self.stage.take(on: .third) == ["1 unknown", "2 mine"])
        // The shard is still its own.
        #expect(!self.stage.takeAsked(by: .far).contains("claim"))
    }

    @Test("that said a write had failed, and had done it, made one message all the same")
    func doneAfterAll() {
        let (alice, bob) = self.stage.gather()
        self.stage.moods[.far] = .late
        self.stage.say("one", by: alice, context: 7)
        self.stage.say("two", by: bob, context: 8)
        self.stage.failHeld()
        self.stage.moods[.far] = .working
        // The second is answered as stored after the conversation was given up.
        self.stage.answerHeld()
        self.stage.pass(3000)
        #expect(self.stage.storedWords == ["1 one", "2 two"])
        #expect(self.stage.take(on: .near) == ["1 one ← 7", "2 two"])
        #expect(self.stage.take(on: .third) == ["1 one", "2 two ← 8"])
    }

    @Test("gets cursors again that it did not take")
    func cursors() {
        let (alice, bob) = self.stage.gather()
        self.stage.say("one", by: alice)
        self.stage.moods[.far] = .failingWrites
        self.stage.ask(.read([1], by: Person.bob.id), by: bob, context: 8)
        self.stage.pass(3000)
        self.stage.moods[.far] = .working
        self.stage.pass(3000)
        #expect(self.stage.storedMembers.first { $0.user == Person.bob.id }?.readCursor == 1)
    }

    @Test("part from a conversation that nobody hears when it has rested, and load it again when it is needed")
    func idle() {
        let (alice, bob) = self.stage.gather()
        self.stage.pass(70_000)
        #expect(self.stage.counts(of: .far).owned == 1)
        self.stage.leave(alice)
        self.stage.leave(bob)
        self.stage.pass(62_000)
        #expect(self.stage.counts(of: .far).owned == 0)

        self.stage.forget()
        _ = self.stage.enter(.alice, on: .near)
        self.stage.settle()
        #expect(self.stage.takeAsked(by: .far) == ["load"])
        #expect(self.stage.take(on: .near) == ["1: entered at 0"])
    }
}

@Suite("An owner with too many writes under way")
struct WriteLimitTests {
    @Test("refuses sends until the store has caught up")
    func limit() {
        var owner = Owner(id: .far, view: Stage.view, limits: .init())
        var outbox = Outbox(id: .far)
        var store = MemoryTables(history: 0)
        let key = Stage.keys(1)[0]
        func handle(_ command: ChatCommand) -> [String] {
            owner.handle(.init(conversation: key, input: .command(command), request: 5), from: .far, at: .sample(10), outbox: &outbox)
            owner.flush(at: .sample(0), outbox: &outbox)
            while !outbox.requests.isEmpty {
                for (request, ticket) in outbox.takeRequests() {
                    _ = owner.storeAnswered(store.execute(request), ticket: ticket, at: .sample(10), outbox: &outbox)
                }
                owner.flush(at: .sample(0), outbox: &outbox)
            }
            var items: [Envelope.Item] = []
            outbox.swapLocal(with: &items)
            return items.map(\.told)
        }
        let post = ChatCommand.post(.said("hello", by: .alice, id: "a"))
        _ = handle(.enter(Entrance(actor: Actor(person: .alice, isAdmin: false), isListed: true, kind: .conversations)))
        #expect(owner.writesUnderWay == 0)
        owner.writesUnderWay = Owner.writesUnderWayLimit
        #expect(handle(post) == ["answer unavailable"])
        owner.writesUnderWay -= 1
        #expect(handle(post) == ["event 1 hello"])
    }
}
