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

    @Test("is for members and admins")
    func who() {
        var stage = Stage(of: [ann])
        #expect(stage.describe(by: bob) == [refused(.notAMember)])
        #expect(stage.describe(by: bob, admin: true) == ["answer: described"])
    }
}
