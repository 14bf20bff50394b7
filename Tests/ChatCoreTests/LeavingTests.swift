import ChatModel
import Testing

@testable import ChatCore

@Suite("Leaving a conversation for good")
struct LeavingTests {
    @Test("is told to everybody, and takes the right to write and read")
    func leaves() {
        var stage = ConversationFixture(of: [ann, bob])
        #expect(stage.leave(bob, request: 1) == ["event: left bob, answers 1"])
        #expect(stage.post("hi", by: bob) == [refused(.notAMember)])
        #expect(stage.store.members.map(\.user) == [ann.id])
    }

    @Test("is done once: again it is refused, unless it is the same request")
    func twice() {
        var stage = ConversationFixture(of: [ann, bob])
        _ = stage.leave(bob, request: 1)
        #expect(stage.leave(bob, request: 1, retry: true) == ["answer 1: done"])
        #expect(stage.leave(bob, request: 2) == ["answer 2: refused, \(ChatError.notAMember)"])
    }

    @Test("asked again while it is stored is answered once, with the event")
    func whilePending() {
        var stage = ConversationFixture(of: [ann, bob])
        stage.isStoreSlow = true
        _ = stage.leave(bob, request: 1)
        #expect(stage.leave(bob, request: 1, retry: true) == [])
        #expect(stage.leave(bob, request: 2, retry: true) == [])
        #expect(stage.answerStore() == ["event: left bob, answers 1", "answer 2: done"])
    }

    @Test("is not for ever: who comes back has read what it had read")
    func rejoins() {
        var stage = ConversationFixture(of: [ann, bob], open: true)
        _ = stage.post("hi", by: ann)
        _ = stage.read(1, by: bob)
        _ = stage.leave(bob)
        _ = stage.join(bob)
        #expect(stage.store.members.last?.user == bob.id)
        #expect(stage.store.members.last?.readCursor == 1)
        #expect(stage.store.members.last?.deliveredCursor == 1)
    }

    @Test("is known to whom it goes offline for")
    func offline() {
        var stage = ConversationFixture(of: [ann, bob])
        _ = stage.joinAndSubscribe(bob)
        _ = stage.leave(bob)
        _ = stage.unsubscribe(bob)
        stage.now = ClockReading(monotonic: stage.now.after(.seconds(3)), wall: stage.now.wall)
        var effects: [ConversationEffect] = []
        stage.conversation.tick(at: stage.now, into: &effects)
        let changes: [PresenceChange] = effects.flatMap { effect -> [PresenceChange] in
            if case .event(.presence(let changes), _, _) = effect { changes } else { [] }
        }
        #expect(changes.map(\.isOnline) == [false])
        #expect(changes.map(\.isMember) == [false])
    }

    @Test("leaves the creator the right to end it after coming back")
    func creator() {
        var stage = ConversationFixture(of: [ann, bob], open: true)
        _ = stage.leave(ann)
        #expect(stage.end(by: ann) == [refused(.notAMember)])
        _ = stage.join(ann)
        #expect(stage.end(by: ann) == ["event: ended by ann"])
    }
}
