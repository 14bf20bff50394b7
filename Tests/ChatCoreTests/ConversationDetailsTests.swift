import Bytes
import ChatModel
import Testing

@testable import ChatCore

@Suite("A description")
struct ConversationDetailsTests {
    @Test("names the members in the order of their coming, and who is there")
    func describes() {
        var stage = ConversationFixture(of: [bob, ann, cid])
        _ = stage.post("hi", by: ann)
        _ = stage.leave(cid)
        _ = stage.joinAndSubscribe(ann)
        #expect(stage.describe(by: bob) == ["answer: described"])
        #expect(stage.lastDetails?.members.map(\.user) == [bob.id, ann.id])
        #expect(stage.lastDetails?.online == [ann.id])
        #expect(stage.lastDetails?.head == 1)
        #expect(stage.lastDetails?.record == stage.store.record)
    }

    @Test("says when something was said, changed or ended last; who comes and goes changes nothing")
    func activity() {
        var stage = ConversationFixture(of: [ann, bob])
        func updatedAt() -> Timestamp? {
            _ = stage.describe(by: ann)
            #expect(stage.lastDetails?.record == stage.store.record)
            return stage.lastDetails?.record.updatedAt
        }
        let made = stage.store.record?.createdAt
        #expect(updatedAt() == made)
        for act: (inout ConversationFixture) -> [String] in [
            { $0.post("hi", by: ann) }, { $0.edit(1, to: "ho", by: ann) },
            { $0.delete(1, by: ann) }, { $0.end(by: ann) },
        ] {
            _ = stage.advance(by: .seconds(3))
            let now = stage.now.wall
            _ = act(&stage)
            #expect(updatedAt() == now)
            _ = stage.advance(by: .seconds(3))
            _ = stage.joinAndSubscribe(cid, listed: true)
            _ = stage.read(1, by: bob)
            _ = stage.leave(cid)
            #expect(updatedAt() == now)
        }
        let ended = updatedAt()
        stage.changeOwner()
        #expect(updatedAt() == ended)
    }

    @Test(
        "knows the agent as which a member last came in, also of who is gone, and also after its owner has died"
    )
    func agents() {
        var stage = ConversationFixture(of: [ann])
        func agent() -> ByteString? {
            _ = stage.describe(by: ann)
            return stage.lastDetails?.members.last?.agent
        }
        for name: ByteString? in ["helper", "other", nil, "helper"] {
            stage.clearStoreRequests()
            _ = stage.joinAndSubscribe(
                Person(id: bob.id, name: bob.name, agent: name), listed: true)
            #expect(stage.storeRequests.count == 1)
            _ = stage.unsubscribe(bob)
            _ = stage.advance(by: .seconds(10))
            #expect(agent() == name)
            // It comes in as it is known.
            stage.clearStoreRequests()
            _ = stage.joinAndSubscribe(
                Person(id: bob.id, name: bob.name, agent: name), listed: true)
            #expect(stage.storeRequests.isEmpty)
            _ = stage.unsubscribe(bob)
        }
        stage.changeOwner()
        #expect(agent() == "helper")
    }

    @Test("does not say that something happened which is not stored yet")
    func pendingChanges() {
        var stage = ConversationFixture(of: [ann])
        let made = stage.store.record?.createdAt
        _ = stage.advance(by: .seconds(3))
        stage.isStoreSlow = true
        _ = stage.post("hi", by: ann)
        _ = stage.describe(by: ann)
        #expect(stage.lastDetails?.record.updatedAt == made)
        let now = stage.now.wall
        _ = stage.advance(by: .seconds(3))
        _ = stage.answerStore()
        _ = stage.describe(by: ann)
        #expect(stage.lastDetails?.record.updatedAt == now)
    }

    @Test("is for members and whom their guests are; admins are neither")
    func permission() {
        var stage = ConversationFixture(of: [ann])
        #expect(stage.describe(by: bob) == [refused(.notAMember)])
        #expect(stage.describe(by: bob, admin: true) == [refused(.notAMember)])
        func ask(_ guests: ReadAccess) -> [String] {
            stage.submit(.describe(by: Principal(person: bob, isAdmin: true), readAccess: guests))
        }
        #expect(ask(.anyoneIfOpen) == [refused(.notAMember)])
        #expect(ask(.anyone) == ["answer: described"])
    }
}
