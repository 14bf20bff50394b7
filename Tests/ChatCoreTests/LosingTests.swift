import ChatModel
import Testing

@testable import ChatCore

@Suite("When the store fails, a conversation")
struct LosingTests {
    @Test("tells whoever waits for it to try again, and asks again when somebody does")
    func failedLoad() {
        var stage = Stage(of: [ann, bob])
        stage.changeOwner()
        stage.isStoreSlow = true
        _ = stage.say("hi", by: ann, request: 1)
        _ = stage.attach(east, present: [ann])
        #expect(stage.failStore() == ["answer 1: refused, \(ChatError.unavailable)", "answer 1: refused, \(ChatError.unavailable)"])
        #expect(stage.describe(by: bob) == [])
        #expect(stage.asked == ["load", "load"])
        #expect(stage.answerStore() == ["answer: described"])
    }

    @Test("gives the number of a send that was not stored to the next one")
    func failedSend() {
        var stage = Stage(of: [ann])
        #expect(stage.losing { $0.say("lost", by: ann) } == [refused(.unavailable)])
        #expect(stage.say("kept", by: ann) == ["event: posted 1 kept"])
    }

    @Test("tells everybody who asked for the same change to try again")
    func failedChange() {
        var stage = Stage(of: [ann])
        stage.isStoreSlow = true
        _ = stage.enter(bob, request: 1)
        _ = stage.enter(bob, request: 2)
        _ = stage.say("hi", by: ann, id: "a", request: 3)
        _ = stage.say("hi", by: ann, id: "a", request: 4, again: true)
        let refusals = (1...4).map { "answer \($0): refused, \(ChatError.unavailable)" }
        #expect(stage.failStore().sorted() == refusals)
    }

    @Test("keeps who listens and who is there")
    func keepsListeners() {
        var stage = Stage(of: [ann])
        _ = stage.enter(ann)
        _ = stage.losing { $0.say("lost", by: ann) }
        #expect(stage.conversation.listeners.contains(east))
        #expect(stage.describe(by: ann) == ["answer: described"])
        #expect(stage.described?.online == [ann.id])
    }

    @Test("calls the listeners again when something was stored of which they have not heard")
    func storedUnheard() {
        var stage = Stage(of: [ann])
        _ = stage.enter(ann)
        stage.isStoreSlow = true
        _ = stage.say("stored all the same", by: ann)
        let revision = stage.shelf.revision + 1
        _ = stage.failStore()
        let body = MessageBody.said("stored all the same", by: ann)
        stage.shelf.write(.message(Message(sequence: 1, revision: revision, sentAt: stage.now.wall, body: body)), revision)
        stage.isStoreSlow = false
        #expect(stage.describe(by: ann) == ["call again", "answer: described"])
        #expect(stage.say("next", by: ann) == ["event: posted 2 next"])
    }

    @Test("calls nobody again where nothing else was stored")
    func nothingUnheard() {
        var stage = Stage(of: [ann])
        _ = stage.enter(ann)
        _ = stage.losing { $0.say("lost", by: ann) }
        #expect(stage.describe(by: ann) == ["answer: described"])
    }

    @Test("still lets those go who said farewell while they waited")
    func farewells() {
        var stage = Stage(of: [ann])
        _ = stage.enter(ann)
        stage.isStoreSlow = true
        _ = stage.say("lost", by: ann)
        _ = stage.failStore()
        _ = stage.describe(by: ann)
        _ = stage.leave(ann)
        _ = stage.detach(east)
        _ = stage.failStore()
        #expect(stage.conversation.listeners.isEmpty)
    }

    @Test("keeps the reports of deliveries that waited")
    func reports() {
        var stage = Stage(of: [ann, bob])
        _ = stage.say("hi", by: ann)
        stage.changeOwner()
        _ = stage.enter(ann)
        #expect(stage.losing { $0.deliver(1...1, to: bob) } == [])
        #expect(stage.describe(by: ann) == ["tell east: delivered 1 of ann", "answer: described"])
    }

    @Test("asks the store again in a second for what waits without an asker: reports of deliveries")
    func reportsAlone() {
        var stage = Stage(of: [ann, bob])
        _ = stage.say("hi", by: ann)
        stage.changeOwner()
        _ = stage.losing { $0.deliver(1...1, to: bob) }
        _ = stage.pass(.seconds(8))
        #expect(stage.shelf.members.map(\.deliveredCursor) == [0, 1])
        #expect(stage.conversation.isIdle)
    }

    @Test("stores the cursors that had moved, though nobody asks for anything any more")
    func cursorsAlone() {
        var stage = Stage(of: [ann, bob])
        _ = stage.say("hi", by: ann)
        _ = stage.deliver(1...1, to: bob)
        _ = stage.losing { $0.say("lost", by: ann) }
        _ = stage.pass(.seconds(8))
        #expect(stage.shelf.members.map(\.deliveredCursor) == [0, 1])
        #expect(stage.conversation.isIdle)
    }

    @Test("forgets who came in by a change that was not stored")
    func failedArrival() {
        var stage = Stage(of: [ann])
        _ = stage.losing { $0.join(bob, listed: true) }
        #expect(stage.say("hi", by: bob) == [refused(.notAMember)])
    }

    @Test("may be ended by somebody after an end that was not stored")
    func failedEnd() {
        var stage = Stage(of: [ann])
        #expect(stage.losing { $0.end(by: ann) } == [refused(.unavailable)])
        #expect(stage.say("hi", by: ann) == ["event: posted 1 hi"])
        #expect(stage.end(by: ann) == ["event: ended by ann"])
    }
}
