import Bytes
import ChatModel
import Testing

@testable import ChatCore

@Suite("A description")
struct DescriptionTests {
    @Test("names the members in the order of their coming, and who is there")
    func describes() {
        var stage = Stage(of: [bob, ann, cid])
        _ = stage.say("hi", by: ann)
        _ = stage.part(cid)
        _ = stage.enter(ann)
        #expect(stage.describe(by: bob) == ["answer: described"])
        #expect(stage.described?.members.map(\.user) == [bob.id, ann.id])
        #expect(stage.described?.online == [ann.id])
        #expect(stage.described?.head == 1)
        #expect(stage.described?.record == stage.shelf.record)
    }

    @Test("says when something was said, changed or ended last; who comes and goes changes nothing")
    func activity() {
        var stage = Stage(of: [ann, bob])
        func updatedAt() -> Timestamp? {
            _ = stage.describe(by: ann)
            #expect(stage.described?.record == stage.shelf.record)
            return stage.described?.record.updatedAt
        }
        let made = stage.shelf.record?.createdAt
        #expect(updatedAt() == made)
        for act: (inout Stage) -> [String] in [
            { $0.say("hi", by: ann) }, { $0.edit(1, to: "ho", by: ann) }, { $0.delete(1, by: ann) }, { $0.end(by: ann) },
        ] {
            _ = stage.pass(.seconds(3))
            let now = stage.now.wall
            _ = act(&stage)
            #expect(updatedAt() == now)
            _ = stage.pass(.seconds(3))
            _ = stage.enter(cid, listed: true)
            _ = stage.read(1, by: bob)
            _ = stage.part(cid)
            #expect(updatedAt() == now)
        }
        let ended = updatedAt()
        stage.changeOwner()
        #expect(updatedAt() == ended)
    }

    @Test("knows the agent as which a member last came in, also of who is gone, and also after its owner has died")
    func agents() {
        var stage = Stage(of: [ann])
        func agent() -> ByteString? {
            _ = stage.describe(by: ann)
            return stage.described?.members.last?.agent
        }
        for name: ByteString? in ["helper", "other", nil, "helper"] {
            stage.forgetAsked()
            _ = stage.enter(Person(id: bob.id, name: bob.name, agent: name), listed: true)
            #expect(stage.asked.count == 1)
            _ = stage.leave(bob)
            _ = stage.pass(.seconds(10))
            #expect(agent() == name)
            // It comes in as it is known.
            stage.forgetAsked()
            _ = stage.enter(Person(id: bob.id, name: bob.name, agent: name), listed: true)
            #expect(stage.asked.isEmpty)
            _ = stage.leave(bob)
        }
        stage.changeOwner()
        #expect(agent() == "helper")
    }

    @Test("does not say that something happened which is not stored yet")
    func underWay() {
        var stage = Stage(of: [ann])
        let made = stage.shelf.record?.createdAt
        _ = stage.pass(.seconds(3))
        stage.isStoreSlow = true
        _ = stage.say("hi", by: ann)
        _ = stage.describe(by: ann)
        #expect(stage.described?.record.updatedAt == made)
        let now = stage.now.wall
        _ = stage.pass(.seconds(3))
        _ = stage.answerStore()
        _ = stage.describe(by: ann)
        #expect(stage.described?.record.updatedAt == now)
    }

    @Test("is for members and whom their guests are; admins are neither")
    func who() {
        var stage = Stage(of: [ann])
        #expect(stage.describe(by: bob) == [refused(.notAMember)])
        #expect(stage.describe(by: bob, admin: true) == [refused(.notAMember)])
        func ask(_ guests: Guests) -> [String] { stage.ask(.describe(by: Actor(person: bob, isAdmin: true), guests: guests)) }
        #expect(ask(.ofOpen) == [refused(.notAMember)])
        #expect(ask(.all) == ["answer: described"])
    }
}
