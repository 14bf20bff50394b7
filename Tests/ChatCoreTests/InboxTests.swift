import Bytes
import ChatModel
import Testing

@testable import ChatCore

@Suite("An inbox")
struct InboxTests {
    @Test("is made by what first comes in, and takes from everybody")
    func made() {
        var stage = Stage(isInbox: true)
        #expect(stage.say("hi", by: ann, id: "1", request: 1) == ["event: created", "event: posted 1 hi, answers 1"])
        #expect(stage.say("ho", by: bob, id: "1", request: 2) == ["event: posted 2 ho, answers 2"])
        #expect(stage.shelf.record?.kind == .inbox)
        #expect(stage.shelf.record?.access == .closed)
        #expect(stage.shelf.members.isEmpty)
        #expect(
            stage.ask(.create(Founding(kind: .pets, creator: Actor(person: ann, isAdmin: true), members: []))) == [refused(.accessDenied)])
    }

    @Test("lets listen without a write, also before anything has come")
    func listening() {
        var stage = Stage(isInbox: true)
        #expect(stage.enter(ann, listed: false, request: 1) == ["answer 1: entered"])
        #expect(stage.enter(bob, listed: false, on: west, request: 2) == ["answer 2: entered"])
        #expect(stage.entered?.member == nil)
        #expect(stage.asked == ["load"])
        #expect(stage.attach(west, present: [bob, cid], heard: [dan]) == ["answer 1: entered"])
        #expect(stage.leave(ann) == [])
        #expect(stage.pass(.seconds(60)) == [])
        #expect(stage.say("hi", by: cid, request: 3) == ["event: created", "event: posted 1 hi, answers 3"])
        _ = stage.detach(east)
        _ = stage.detach(west)
        #expect(stage.conversation.isIdle)
    }

    @Test("remembers how far everybody has got, and tells nobody who is there")
    func settled() {
        var stage = Stage(isInbox: true)
        _ = stage.say("hi", by: ann)
        _ = stage.say("ho", by: ann)
        _ = stage.enter(bob)
        #expect(stage.entered?.head == 2)
        #expect(stage.read(1, by: bob) == ["answer: read", "event: joined bob"])
        _ = stage.read(2, by: bob)
        _ = stage.read(1, by: bob)
        _ = stage.leave(bob)
        _ = stage.pass(.seconds(60))
        stage.changeOwner()
        _ = stage.enter(bob)
        #expect(stage.entered?.member?.readCursor == 2)
        #expect(stage.shelf.members.map(\.user) == [bob.id])
    }

    @Test("that several users read as one has brought to all of them what it has brought to one, also after its owner has died")
    func shared() {
        var stage = Stage(isInbox: true)
        for words in ["1", "2", "3"] { _ = stage.say(words, by: ann) }
        _ = stage.enter(bob)
        #expect(stage.entered?.member == nil)
        _ = stage.ask(.readThrough(2, by: bob.id))
        _ = stage.enter(cid)
        #expect(stage.entered?.member?.readCursor == 2)
        _ = stage.ask(.readThrough(1, by: cid.id))
        stage.forgetAsked()
        _ = stage.ask(.readThrough(3, by: bob.id))
        #expect(stage.asked == ["cursors bob read 3 delivered 0"])
        stage.changeOwner()
        _ = stage.enter(cid)
        #expect(stage.entered?.member?.readCursor == 3)
        #expect(stage.entered?.member?.user == cid.id)
    }

    @Test("takes the same thing once, from each who sends it, also after its owner has changed")
    func once() {
        var stage = Stage(isInbox: true)
        _ = stage.say("hi", by: ann, id: "1")
        stage.changeOwner()
        #expect(stage.say("hi", by: ann, id: "1", request: 1) == ["answer 1: posted 1 hi"])
        #expect(stage.say("ho", by: bob, id: "1", request: 2) == ["event: posted 2 ho, answers 2"])
        stage.changeOwner()
        #expect(stage.say("ho", by: bob, id: "1", request: 3) == ["answer 3: posted 2 ho"])
        #expect(stage.say("hi", by: ann, id: "1", request: 4) == ["answer 4: posted 1 hi"])
    }

    @Test("that cannot be made while the store is away may be tried again")
    func away() {
        var stage = Stage(isInbox: true)
        _ = stage.enter(bob)
        stage.conversation.isStoreAway = true
        #expect(stage.say("hi", by: ann, request: 1) == ["answer 1: refused, \(ChatError.unavailable)"])
        stage.conversation.isStoreAway = false
        #expect(stage.say("hi", by: ann, request: 1) == ["event: created", "event: posted 1 hi, answers 1"])
    }
}
