import Bytes
import ChatModel
import Testing

@testable import ChatCore

@Suite("The details of a conversation")
struct ConversationDetailsTests {
    @Test("list the members in the order in which they joined, and who is online")
    func describes() {
        var fixture = ConversationFixture(of: [bob, ann, cid])
        _ = fixture.post("hi", by: ann)
        _ = fixture.leave(cid)
        _ = fixture.joinAndSubscribe(ann)
        #expect(fixture.describe(by: bob) == ["answer: described"])
        #expect(fixture.lastDetails?.members.map(\.user) == [bob.id, ann.id])
        #expect(fixture.lastDetails?.online == [ann.id])
        #expect(fixture.lastDetails?.head == 1)
        #expect(fixture.lastDetails?.record == fixture.store.record)
    }

    @Test("contain the time of the last message, edit or end, which joins and leaves do not change")
    func activity() {
        var fixture = ConversationFixture(of: [ann, bob])
        func updatedAt() -> Timestamp? {
            _ = fixture.describe(by: ann)
            #expect(fixture.lastDetails?.record == fixture.store.record)
            return fixture.lastDetails?.record.updatedAt
        }
        let made = fixture.store.record?.createdAt
        #expect(updatedAt() == made)
        for action: (inout ConversationFixture) -> [String] in [
            { $0.post("hi", by: ann) }, { $0.edit(1, to: "ho", by: ann) },
            { $0.delete(1, by: ann) }, { $0.end(by: ann) },
        ] {
            _ = fixture.advance(by: .seconds(3))
            let now = fixture.now.wall
            _ = action(&fixture)
            #expect(updatedAt() == now)
            _ = fixture.advance(by: .seconds(3))
            _ = fixture.joinAndSubscribe(cid, listed: true)
            _ = fixture.read(1, by: bob)
            _ = fixture.leave(cid)
            #expect(updatedAt() == now)
        }
        let ended = updatedAt()
        fixture.changeOwner()
        #expect(updatedAt() == ended)
    }

    @Test(
        "contain the agent of a member's last join, after a leave and a change of owners too"
    )
    func agents() {
        var fixture = ConversationFixture(of: [ann])
        func agent() -> ByteString? {
            _ = fixture.describe(by: ann)
            return fixture.lastDetails?.members.last?.agent
        }
        for name: ByteString? in ["helper", "other", nil, "helper"] {
            fixture.clearStoreRequests()
            _ = fixture.joinAndSubscribe(
                Person(id: bob.id, name: bob.name, agent: name), listed: true)
            #expect(fixture.storeRequests.count == 1)
            _ = fixture.unsubscribe(bob)
            _ = fixture.advance(by: .seconds(10))
            #expect(agent() == name)
            // The user joins under the known name and agent.
            fixture.clearStoreRequests()
            _ = fixture.joinAndSubscribe(
                Person(id: bob.id, name: bob.name, agent: name), listed: true)
            #expect(fixture.storeRequests.isEmpty)
            _ = fixture.unsubscribe(bob)
        }
        fixture.changeOwner()
        #expect(agent() == "helper")
    }

    @Test("contain the newest message in its present state, if it was stored since the load")
    func lastMessage() {
        var fixture = ConversationFixture(of: [ann])
        func last() -> Message? {
            _ = fixture.describe(by: ann)
            return fixture.lastDetails?.lastMessage
        }
        #expect(last() == nil)
        _ = fixture.post("one", by: ann)
        _ = fixture.post("two", by: ann)
        #expect(last()?.sequence == 2 && last()?.body.content == "two")
        _ = fixture.edit(1, to: "eins", by: ann)
        #expect(last()?.body.content == "two")
        _ = fixture.edit(2, to: "zwei", by: ann)
        #expect(last()?.body.content == "zwei" && last()?.state == .edited)
        fixture.isStoreSlow = true
        _ = fixture.post("three", by: ann)
        #expect(last()?.sequence == 2)
        _ = fixture.answerStore()
        #expect(last()?.sequence == 3)
        fixture.isStoreSlow = false
        fixture.changeOwner()
        #expect(last() == nil && fixture.lastDetails?.head == 3)
    }

    @Test("do not contain changes that are not stored yet")
    func pendingChanges() {
        var fixture = ConversationFixture(of: [ann])
        let made = fixture.store.record?.createdAt
        _ = fixture.advance(by: .seconds(3))
        fixture.isStoreSlow = true
        _ = fixture.post("hi", by: ann)
        _ = fixture.describe(by: ann)
        #expect(fixture.lastDetails?.record.updatedAt == made)
        let now = fixture.now.wall
        _ = fixture.advance(by: .seconds(3))
        _ = fixture.answerStore()
        _ = fixture.describe(by: ann)
        #expect(fixture.lastDetails?.record.updatedAt == now)
    }

    @Test("are for members and users with read access; an admin needs the same")
    func permission() {
        var fixture = ConversationFixture(of: [ann])
        #expect(fixture.describe(by: bob) == [refused(.noSuchConversation)])
        #expect(fixture.describe(by: bob, admin: true) == [refused(.noSuchConversation)])
        func ask(_ guests: ReadAccess) -> [String] {
            fixture.submit(.describe(by: Principal(person: bob, isAdmin: true), readAccess: guests))
        }
        #expect(ask(.anyoneIfOpen) == [refused(.noSuchConversation)])
        #expect(ask(.anyone) == ["answer: described"])
    }
}
