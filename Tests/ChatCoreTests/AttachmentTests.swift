import ChatModel
import Testing

@testable import ChatCore

@Suite("A loop that attaches")
struct AttachmentTests {
    /// What the next owner of a conversation finds, who has been asked nothing yet.
    private static var stage: Stage {
        var stage = Stage(of: [ann, bob, cid])
        for number in 1...3 { _ = stage.say("\(number)", by: ann) }
        stage.changeOwner()
        return stage
    }

    @Test("is answered how far the conversation has come and who is there, its own people too")
    func answered() {
        var stage = Self.stage
        #expect(stage.attach(east, present: [ann]) == ["event: presence +ann", "answer 1: entered"])
        #expect(stage.entered?.head == 3)
        #expect(stage.entered?.present.map(\.person) == [ann])
        #expect(stage.conversation.listeners.contains(east))
    }

    @Test("to what does not exist is told so")
    func missing() {
        var stage = Stage()
        #expect(stage.attach(east, present: [ann]) == ["answer 1: refused, \(ChatError.noSuchConversation)"])
        #expect(stage.conversation.listeners.isEmpty)
    }

    @Test("brings its people to a new owner, who announces nobody that the loops knew")
    func heard() {
        var stage = Self.stage
        #expect(
            stage.attach(east, present: [ann], heard: [ann, bob]) == ["event: presence +ann +bob", "answer 1: entered"],
            "for those who came in since the owner began")
        #expect(stage.attach(west, present: [bob], heard: [ann, bob]) == ["answer 1: entered"])
        #expect(stage.pass(.seconds(30)) == [])
    }

    @Test("makes a new owner tell, 5 s after its beginning, of those who were heard of and whom no loop has")
    func missed() {
        var stage = Self.stage
        _ = stage.attach(east, present: [ann], heard: [ann, bob])
        _ = stage.pass(.seconds(1))
        #expect(stage.pass(.milliseconds(3999)) == [])
        #expect(stage.pass(.milliseconds(1)) == ["event: presence -bob"])
    }

    @Test("is not believed about others when the owner has been there for 5 s")
    func heardLate() {
        var stage = Self.stage
        _ = stage.attach(east, present: [ann])
        _ = stage.pass(.seconds(5))
        #expect(stage.attach(west, heard: [bob]) == ["answer 1: entered"])
    }

    @Test("is not believed about those of whom the owner has told something itself")
    func knowsBetter() {
        var stage = Self.stage
        _ = stage.enter(ann)
        _ = stage.enter(bob)
        _ = stage.leave(bob)
        _ = stage.pass(.seconds(3))
        #expect(stage.attach(west, heard: [bob]) == ["answer 1: entered"])
        #expect(stage.pass(.seconds(10)) == [])
    }

    @Test("has the owner forget those on it whom it does not name, and those alone")
    func forgets() {
        var stage = Self.stage
        _ = stage.enter(ann, on: east)
        _ = stage.enter(bob, on: east)
        _ = stage.enter(cid, on: west)
        _ = stage.pass(.seconds(10))
        #expect(stage.attach(east, present: [ann]) == ["answer 1: entered"])
        #expect(stage.pass(.seconds(10)) == ["event: presence -bob"])
    }

    @Test("keeps those who wait for their answer")
    func entering() {
        var stage = Self.stage
        _ = stage.enter(bob)
        #expect(stage.attach(east, entering: [bob]) == ["answer 1: entered"])
        _ = stage.describe(by: ann)
        #expect(stage.described?.online == [bob.id])
    }

    @Test("is told of its people who are no members any more, but not of those who wait to come in")
    func leftMeanwhile() {
        var stage = Self.stage
        _ = stage.part(bob)
        #expect(stage.attach(east, present: [bob], entering: [dan]) == ["tell east: left bob", "answer 1: entered"])
    }

    @Test("may have lost its last reports of deliveries, which it brings again")
    func reports() {
        var stage = Self.stage
        _ = stage.enter(ann, on: west)
        _ = stage.read(by: bob)
        let report = DeliveryReport(user: bob.id, range: 1...2)
        #expect(stage.attach(east, delivered: [report]) == ["answer 1: entered", "tell west: delivered 1,2 of ann"])
        #expect(stage.attach(east, delivered: [report]) == ["answer 1: entered"])
    }

    @Test("brings its reports to a new owner too, who first has to recall whose the messages are")
    func reportsToAStranger() {
        var stage = Self.stage
        _ = stage.enter(ann, on: west)
        let report = DeliveryReport(user: bob.id, range: 1...2)
        #expect(stage.attach(east, delivered: [report]) == ["answer 1: entered", "tell west: delivered 1,2 of ann"])
    }

    @Test("names the place of its feed, which later attachments change")
    func place() {
        var stage = Self.stage
        let attachment = ConversationInput.attach(Attachment(present: []))
        _ = stage.handle(attachment, from: Origin(loop: east, request: 1, place: 7))
        _ = stage.handle(attachment, from: Origin(loop: east, request: 2, place: 8))
        #expect(stage.conversation.listeners.count == 1)
        #expect(stage.conversation.listeners[0].place == 8)
    }
}
