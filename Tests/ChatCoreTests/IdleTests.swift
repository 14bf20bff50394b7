import ChatModel
import Testing

@testable import ChatCore

@Suite("A conversation may be dropped")
struct IdleTests {
    /// No user is present and nothing is in flight.
    private static var fixture: ConversationFixture {
        var fixture = ConversationFixture(of: [ann, bob])
        _ = fixture.post("hi", by: ann, id: "a")
        return fixture
    }

    @Test("when no loop subscribes and nothing is in flight")
    func idle() {
        #expect(Self.fixture.conversation.isIdle)
        #expect(ConversationFixture().conversation.isIdle)
    }

    @Test("not while a loop subscribes")
    func subscribers() {
        var fixture = Self.fixture
        _ = fixture.attach(east)
        #expect(!fixture.conversation.isIdle)
        _ = fixture.detach(east)
        #expect(fixture.conversation.isIdle)
    }

    @Test("not while the store is loading it")
    func loading() {
        var fixture = Self.fixture
        fixture.changeOwner()
        fixture.isStoreSlow = true
        _ = fixture.describe(by: ann)
        #expect(!fixture.conversation.isIdle)
        _ = fixture.answerStore()
        #expect(fixture.conversation.isIdle)
        _ = fixture.post("hi", by: ann, id: "a")
        #expect(!fixture.conversation.isIdle, "the recent messages are being loaded")
        _ = fixture.answerStore()
        #expect(!fixture.conversation.isIdle, "the first message is looked up")
        _ = fixture.answerStore()
        #expect(fixture.conversation.isIdle)
    }

    @Test("not while a change is in flight", arguments: [true, false])
    func changes(isStored: Bool) {
        var fixture = Self.fixture
        fixture.isStoreSlow = true
        _ = fixture.post("more", by: ann)
        #expect(!fixture.conversation.isIdle)
        _ = isStored ? fixture.answerStore() : fixture.failStore()
        #expect(fixture.conversation.isIdle)
    }

    @Test("not while cursors are waiting to be stored")
    func cursors() {
        var fixture = Self.fixture
        _ = fixture.reportDelivered(1...1, to: bob)
        #expect(!fixture.conversation.isIdle)
        _ = fixture.advance(by: .seconds(5))
        #expect(fixture.conversation.isIdle)
    }

    /// The store could answer a load with the cursors from before the write.
    @Test("not while the store writes cursors", arguments: [true, false])
    func cursorsInFlight(isStored: Bool) {
        var fixture = Self.fixture
        _ = fixture.reportDelivered(1...1, to: bob)
        fixture.isStoreSlow = true
        _ = fixture.advance(by: .seconds(5))
        #expect(fixture.storeRequests.last == "cursors bob read 0 delivered 1")
        #expect(!fixture.conversation.isIdle)
        _ = isStored ? fixture.answerStore() : fixture.failStore()
        #expect(fixture.conversation.isIdle == isStored, "failed ones are written again")
    }

    @Test("not while an absence is waiting to be announced")
    func presence() {
        var fixture = Self.fixture
        _ = fixture.joinAndSubscribe(bob)
        _ = fixture.detach(east)
        #expect(!fixture.conversation.isIdle)
        _ = fixture.advance(by: .seconds(2))
        #expect(fixture.conversation.isIdle)
    }

    @Test("not while a user is typing")
    func typing() {
        var fixture = Self.fixture
        _ = fixture.setTyping(by: bob)
        #expect(!fixture.conversation.isIdle)
        _ = fixture.advance(by: .seconds(6))
        #expect(fixture.conversation.isIdle)
    }
}
