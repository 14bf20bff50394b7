import ChatModel
import Testing

@testable import ChatCore

@Suite("Leaving a conversation")
struct LeavingTests {
    @Test("is announced to all subscribers, and ends the right to write and read")
    func leaves() {
        var fixture = ConversationFixture(of: [ann, bob])
        #expect(fixture.leave(bob, request: 1) == ["event: left bob, answers 1"])
        #expect(fixture.post("hi", by: bob) == [refused(.noSuchConversation)])
        #expect(fixture.store.members.map(\.user) == [ann.id])
    }

    @Test("is done once: a second request is refused unless it is a retry")
    func twice() {
        var fixture = ConversationFixture(of: [ann, bob])
        _ = fixture.leave(bob, request: 1)
        #expect(fixture.leave(bob, request: 1, retry: true) == ["answer 1: done"])
        #expect(
            fixture.leave(bob, request: 2) == [
                "answer 2: refused, \(ChatError.noSuchConversation)"
            ])
    }

    @Test("that is retried while it is in flight is answered once, by the event")
    func whilePending() {
        var fixture = ConversationFixture(of: [ann, bob])
        fixture.isStoreSlow = true
        _ = fixture.leave(bob, request: 1)
        #expect(fixture.leave(bob, request: 1, retry: true) == [])
        #expect(fixture.leave(bob, request: 2, retry: true) == [])
        #expect(fixture.answerStore() == ["event: left bob, answers 1", "answer 2: done"])
    }

    @Test("refuses the member's sends once it is stored; before, they are to be repeated")
    func refusesOnceStored() {
        var fixture = ConversationFixture(of: [ann, bob])
        fixture.isStoreSlow = true
        _ = fixture.leave(bob)
        #expect(fixture.post("late", by: bob) == [refused(.unavailable)])
        _ = fixture.answerStore()
        #expect(fixture.post("late", by: bob) == [refused(.noSuchConversation)])
    }

    @Test("can be undone: a returning member keeps its read cursor")
    func rejoins() {
        var fixture = ConversationFixture(of: [ann, bob], open: true)
        _ = fixture.post("hi", by: ann)
        _ = fixture.read(1, by: bob)
        _ = fixture.leave(bob)
        _ = fixture.join(bob)
        #expect(fixture.store.members.last?.user == bob.id)
        #expect(fixture.store.members.last?.readCursor == 1)
        #expect(fixture.store.members.last?.deliveredCursor == 1)
    }

    @Test("marks the later presence change as that of a former member")
    func offline() {
        var fixture = ConversationFixture(of: [ann, bob])
        _ = fixture.joinAndSubscribe(bob)
        _ = fixture.leave(bob)
        _ = fixture.unsubscribe(bob)
        fixture.now = ClockReading(
            monotonic: fixture.now.after(.seconds(3)), wall: fixture.now.wall)
        var effects: [ConversationEffect] = []
        fixture.conversation.tick(at: fixture.now, into: &effects)
        let changes: [PresenceChange] = effects.flatMap { effect -> [PresenceChange] in
            if case .event(.presence(let changes), _, _) = effect { changes } else { [] }
        }
        #expect(changes.map(\.isOnline) == [false])
        #expect(changes.map(\.isMember) == [false])
    }

    @Test("ends the creator's right to end the conversation, also after a return")
    func creator() {
        let refusal = refused(.notAllowed("the creator of a conversation or an admin"))
        var fixture = ConversationFixture(of: [ann, bob], open: true)
        _ = fixture.leave(ann)
        #expect(fixture.end(by: ann) == [refusal])
        _ = fixture.join(ann)
        #expect(fixture.end(by: ann) == [refusal])
    }
}
