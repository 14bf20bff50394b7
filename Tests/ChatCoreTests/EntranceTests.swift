import Bytes
import ChatModel
import Testing

@testable import ChatCore

@Suite("Coming into a conversation")
struct EntranceTests {
    @Test("makes it where there is none, for whom its token lists, who is its creator")
    func makes() {
        var stage = Stage()
        #expect(
            stage.enter(ann, kind: .chats, request: 1)
                == ["event: presence +ann", "event: created", "event: joined ann", "answer 1: entered"])
        #expect(stage.asked == ["load", "1 create", "2 member ann Ann"])
        #expect(stage.shelf.record?.access == .open)
        #expect(stage.shelf.record?.creator == ann.id)
        #expect(stage.shelf.members.map(\.role) == [.creator])
    }

    @Test("makes none for whom no token lists")
    func makesNone() {
        var stage = Stage()
        #expect(stage.enter(ann, listed: false) == [refused(.accessDenied)])
        #expect(stage.join(ann) == [refused(.noSuchConversation)])
        #expect(stage.asked == ["load"])
    }

    @Test("that is closed needs a token that lists it, or membership")
    func closed() {
        var stage = Stage(of: [ann])
        #expect(stage.enter(bob, listed: false) == [refused(.accessDenied)])
        #expect(stage.enter(bob, listed: true).contains("event: joined bob"))
        #expect(stage.enter(bob, listed: false) == ["answer: entered"])
        #expect(stage.shelf.members.map(\.role) == [.creator, .member])
    }

    @Test("that is open needs nothing")
    func open() {
        var stage = Stage(of: [ann], open: true)
        #expect(stage.enter(bob, listed: false).contains("event: joined bob"))
        #expect(stage.join(cid, listed: false).contains("event: joined cid"))
    }

    @Test("is for no anonymous user of an id that a member has by a token, also where that one came later")
    func takenID() {
        let guest = Person(id: UserID(anonymous: "ann"), name: "Ann")
        var stage = Stage(of: [ann], open: true)
        #expect(stage.enter(guest, listed: false) == [refused(.idTaken)])
        #expect(stage.join(guest, listed: true) == [refused(.idTaken)])
        // A member's display name is no id.
        #expect(stage.join(Person(id: UserID(anonymous: "Ann"), name: "ann")) != [refused(.idTaken)])
        let other = Person(id: UserID(anonymous: "bob"), name: "Bob")
        #expect(stage.join(other, listed: false) != [refused(.idTaken)])
        _ = stage.enter(bob, listed: true)
        #expect(stage.enter(other, listed: false) == [refused(.idTaken)])
        // Who has left has no id any more that somebody else could be taken for.
        _ = stage.part(ann)
        #expect(stage.join(guest, listed: false) != [refused(.idTaken)])
    }

    @Test("stays possible for whom it knows when it has ended")
    func ended() {
        var stage = Stage(of: [ann, bob])
        _ = stage.end(by: ann)
        #expect(stage.enter(bob, listed: false).contains("answer: entered"))
        #expect(stage.entered?.ended == Ending(by: ann.id, at: stage.now.wall))
    }

    @Test("is answered with what is stored, not with what is on its way")
    func storedOnly() {
        var stage = Stage(of: [ann])
        _ = stage.say("one", by: ann)
        stage.isStoreSlow = true
        _ = stage.say("two", by: ann)
        _ = stage.end(by: ann)
        _ = stage.enter(ann)
        #expect(stage.entered?.head == 1)
        #expect(stage.entered?.oldest == 1)
        #expect(stage.entered?.revision == stage.shelf.revision)
        #expect(stage.entered?.ended == nil)
    }

    @Test("is told the oldest message that is kept: by the store, and by the limit of the history")
    func oldest() {
        var limits = ChatLimits()
        limits.history = 3
        var stage = Stage(of: [ann], limits)
        for number in 1...5 { _ = stage.say("\(number)", by: ann) }
        _ = stage.enter(ann)
        #expect(stage.entered?.oldest == 3)
        stage.shelf.oldest = 5
        stage.changeOwner()
        _ = stage.enter(ann)
        #expect(stage.entered?.oldest == 5)
    }

    @Test("names the creator to a next owner's people as who ended it")
    func endedLongAgo() {
        var stage = Stage(of: [ann, bob])
        _ = stage.end(by: bob, admin: true)
        let time = stage.now.wall
        _ = stage.enter(ann)
        #expect(stage.entered?.ended == Ending(by: bob.id, at: time))
        stage.changeOwner()
        _ = stage.enter(ann)
        #expect(stage.entered?.ended == Ending(by: ann.id, at: time))
    }

    @Test("by joining makes a member who does not listen and is not there")
    func join() {
        var stage = Stage(of: [ann], open: true)
        #expect(stage.join(bob, request: 1) == ["event: joined bob", "answer 1: entered"])
        #expect(stage.conversation.listeners.isEmpty)
        _ = stage.describe(by: bob)
        #expect(stage.described?.online == [])
    }

    @Test("twice changes nothing")
    func twice() {
        var stage = Stage(of: [ann], open: true)
        stage.forgetAsked()
        #expect(stage.join(ann) == ["answer: entered"])
        #expect(stage.asked == [])
    }

    @Test("twice while the first time is stored is told once and answered twice")
    func twiceOnTheWay() {
        var stage = Stage(of: [ann])
        stage.isStoreSlow = true
        _ = stage.join(bob, listed: true, request: 1)
        _ = stage.join(bob, listed: true, request: 2)
        #expect(stage.answerStore() == ["event: joined bob", "answer 1: entered", "answer 2: entered"])
    }

    @Test("under another name renames the member")
    func renames() {
        var stage = Stage(of: [ann, bob])
        #expect(
            stage.enter(Person(id: bob.id, name: "Robert"), request: 1)
                == ["event: presence +bob", "event: renamed bob Robert", "answer 1: entered"])
        #expect(stage.shelf.members.map(\.name) == ["Ann", "Robert"])
    }

    @Test("is refused beyond the members that a conversation may have, and never to a member")
    func full() {
        var limits = ChatLimits()
        limits.membersPerConversation = 2
        var stage = Stage(of: [ann, bob], limits)
        #expect(stage.enter(cid) == [refused(.tooManyMembers(limit: 2))])
        #expect(stage.enter(bob).contains("answer: entered"))
        _ = stage.part(bob)
        #expect(stage.enter(cid).contains("answer: entered"))
    }

    @Test("is possible for members alone while the store is away, under the names that they have")
    func storeAway() {
        var stage = Stage(of: [ann])
        stage.conversation.isStoreAway = true
        #expect(stage.enter(bob) == [refused(.unavailable)])
        #expect(stage.enter(Person(id: ann.id, name: "Anna")).contains("answer: entered"))
        _ = stage.describe(by: ann)
        #expect(stage.described?.members.map(\.name) == ["Ann"])
    }
}
