import ChatModel
import Testing

@testable import ChatCore

@Suite("A loop that attaches")
struct AttachmentTests {
    /// What the next owner of a conversation finds, who has been asked nothing yet.
    private static var fixture: ConversationFixture {
        var stage = ConversationFixture(of: [ann, bob, cid])
        for number in 1...3 { _ = stage.post("\(number)", by: ann) }
        stage.changeOwner()
        return stage
    }

    @Test("is answered how far the conversation has come and who is there, its own people too")
    func answered() {
        var stage = Self.fixture
        #expect(
            stage.attach(east, present: [ann]) == ["event: presence +ann", "answer 1: entered"])
        #expect(stage.lastJoinResult?.head == 3)
        #expect(stage.lastJoinResult?.present.map(\.person) == [ann])
        #expect(stage.conversation.subscribers.contains(east))
    }

    @Test("to what does not exist is told so")
    func missing() {
        var stage = ConversationFixture()
        #expect(
            stage.attach(east, present: [ann]) == [
                "answer 1: refused, \(ChatError.noSuchConversation)"
            ])
        #expect(stage.conversation.subscribers.isEmpty)
    }

    @Test("brings its people to a new owner, who announces nobody that the loops knew")
    func knownOnline() {
        var stage = Self.fixture
        #expect(
            stage.attach(east, present: [ann], knownOnline: [ann, bob]) == [
                "event: presence +ann +bob", "answer 1: entered",
            ],
            "for those who came in since the owner began")
        #expect(
            stage.attach(west, present: [bob], knownOnline: [ann, bob]) == ["answer 1: entered"])
        #expect(stage.advance(by: .seconds(30)) == [])
    }

    @Test(
        "makes a new owner tell, 5 s after its beginning, of those who were heard of and whom no loop has"
    )
    func missedPresence() {
        var stage = Self.fixture
        _ = stage.attach(east, present: [ann], knownOnline: [ann, bob])
        _ = stage.advance(by: .seconds(1))
        #expect(stage.advance(by: .milliseconds(3999)) == [])
        #expect(stage.advance(by: .milliseconds(1)) == ["event: presence -bob"])
    }

    @Test("is not believed about others when the owner has been there for 5 s")
    func reportsLate() {
        var stage = Self.fixture
        _ = stage.attach(east, present: [ann])
        _ = stage.advance(by: .seconds(5))
        #expect(stage.attach(west, knownOnline: [bob]) == ["answer 1: entered"])
    }

    @Test("is not believed about those of whom the owner has told something itself")
    func ownerKnowsBetter() {
        var stage = Self.fixture
        _ = stage.joinAndSubscribe(ann)
        _ = stage.joinAndSubscribe(bob)
        _ = stage.unsubscribe(bob)
        _ = stage.advance(by: .seconds(3))
        #expect(stage.attach(west, knownOnline: [bob]) == ["answer 1: entered"])
        #expect(stage.advance(by: .seconds(10)) == [])
    }

    @Test("has the owner forget those on it whom it does not name, and those alone")
    func forgets() {
        var stage = Self.fixture
        _ = stage.joinAndSubscribe(ann, on: east)
        _ = stage.joinAndSubscribe(bob, on: east)
        _ = stage.joinAndSubscribe(cid, on: west)
        _ = stage.advance(by: .seconds(10))
        #expect(stage.attach(east, present: [ann]) == ["answer 1: entered"])
        #expect(stage.advance(by: .seconds(10)) == ["event: presence -bob"])
    }

    @Test("keeps those who wait for their answer")
    func joining() {
        var stage = Self.fixture
        _ = stage.joinAndSubscribe(bob)
        #expect(stage.attach(east, joining: [bob]) == ["answer 1: entered"])
        _ = stage.describe(by: ann)
        #expect(stage.lastDetails?.online == [bob.id])
    }

    @Test("is told of its people who are no members any more, but not of those who wait to come in")
    func leftDuringGap() {
        var stage = Self.fixture
        _ = stage.leave(bob)
        #expect(
            stage.attach(east, present: [bob], joining: [dan]) == [
                "tell east: left bob", "answer 1: entered",
            ])
    }

    @Test("may have lost its last reports of deliveries, which it brings again")
    func reports() {
        var stage = Self.fixture
        _ = stage.joinAndSubscribe(ann, on: west)
        _ = stage.read(by: bob)
        let report = DeliveryReport(user: bob.id, range: 1...2)
        #expect(
            stage.attach(east, delivered: [report]) == [
                "answer 1: entered", "tell west: delivered 1,2 of ann",
            ])
        #expect(stage.attach(east, delivered: [report]) == ["answer 1: entered"])
    }

    @Test("brings its reports to a new owner too, who first has to recall whose the messages are")
    func reportsToNewOwner() {
        var stage = Self.fixture
        _ = stage.joinAndSubscribe(ann, on: west)
        let report = DeliveryReport(user: bob.id, range: 1...2)
        #expect(
            stage.attach(east, delivered: [report]) == [
                "answer 1: entered", "tell west: delivered 1,2 of ann",
            ])
    }

    @Test("names the place of its feed, which later attachments change")
    func feedSlot() {
        var stage = Self.fixture
        let attachment = ConversationInput.attach(Attachment(present: []))
        _ = stage.handle(attachment, from: RequestOrigin(loop: east, request: 1, feedSlot: 7))
        _ = stage.handle(attachment, from: RequestOrigin(loop: east, request: 2, feedSlot: 8))
        #expect(stage.conversation.subscribers.count == 1)
        #expect(stage.conversation.subscribers[0].feedSlot == 8)
    }
}
