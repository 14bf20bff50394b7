import ChatModel
import Testing

@testable import ChatCore

@Suite("A loop that attaches")
struct AttachmentTests {
    /// A conversation under a new owner that has received no request yet.
    private static var fixture: ConversationFixture {
        var fixture = ConversationFixture(of: [ann, bob, cid])
        for number in 1...3 { _ = fixture.post("\(number)", by: ann) }
        fixture.changeOwner()
        return fixture
    }

    @Test("gets the head of the conversation and the present members, including its own")
    func answered() {
        var fixture = Self.fixture
        #expect(
            fixture.attach(east, present: [ann]) == ["event: presence +ann", "answer 1: joined"])
        #expect(fixture.lastJoinResult?.head == 3)
        #expect(fixture.lastJoinResult?.present.map(\.person) == [ann])
        #expect(fixture.conversation.subscribers.contains(east))
    }

    @Test("to a missing conversation is refused")
    func missing() {
        var fixture = ConversationFixture()
        #expect(
            fixture.attach(east, present: [ann]) == [
                "answer 1: refused, \(ChatError.noSuchConversation)"
            ])
        #expect(fixture.conversation.subscribers.isEmpty)
    }

    @Test("reports its users to a new owner, which does not announce users that the loops knew")
    func knownOnline() {
        var fixture = Self.fixture
        #expect(
            fixture.attach(east, present: [ann], knownOnline: [ann, bob]) == [
                "event: presence +ann +bob", "answer 1: joined",
            ],
            "for subscribers that joined under this owner")
        #expect(
            fixture.attach(west, present: [bob], knownOnline: [ann, bob]) == ["answer 1: joined"])
        #expect(fixture.advance(by: .seconds(30)) == [])
    }

    @Test(
        "makes a new owner announce after 5 s that users known to be online have no loop"
    )
    func missedPresence() {
        var fixture = Self.fixture
        _ = fixture.attach(east, present: [ann], knownOnline: [ann, bob])
        _ = fixture.advance(by: .seconds(1))
        #expect(fixture.advance(by: .milliseconds(3999)) == [])
        #expect(fixture.advance(by: .milliseconds(1)) == ["event: presence -bob"])
    }

    @Test("is not believed about users elsewhere once the owner has run for 5 s")
    func reportsLate() {
        var fixture = Self.fixture
        _ = fixture.attach(east, present: [ann])
        _ = fixture.advance(by: .seconds(5))
        #expect(fixture.attach(west, knownOnline: [bob]) == ["answer 1: joined"])
    }

    @Test("is not believed about users whose presence the owner has announced itself")
    func ownerKnowsBetter() {
        var fixture = Self.fixture
        _ = fixture.joinAndSubscribe(ann)
        _ = fixture.joinAndSubscribe(bob)
        _ = fixture.unsubscribe(bob)
        _ = fixture.advance(by: .seconds(3))
        #expect(fixture.attach(west, knownOnline: [bob]) == ["answer 1: joined"])
        #expect(fixture.advance(by: .seconds(10)) == [])
    }

    @Test("makes the owner forget only the users on this loop that it does not list")
    func forgets() {
        var fixture = Self.fixture
        _ = fixture.joinAndSubscribe(ann, on: east)
        _ = fixture.joinAndSubscribe(bob, on: east)
        _ = fixture.joinAndSubscribe(cid, on: west)
        _ = fixture.advance(by: .seconds(10))
        #expect(fixture.attach(east, present: [ann]) == ["answer 1: joined"])
        #expect(fixture.advance(by: .seconds(10)) == ["event: presence -bob"])
    }

    @Test("keeps users whose join is not answered yet")
    func joining() {
        var fixture = Self.fixture
        _ = fixture.joinAndSubscribe(bob)
        #expect(fixture.attach(east, joining: [bob]) == ["answer 1: joined"])
        _ = fixture.describe(by: ann)
        #expect(fixture.lastDetails?.online == [bob.id])
    }

    @Test("is notified of its users that are no longer members, but not of users that are joining")
    func leftDuringGap() {
        var fixture = Self.fixture
        _ = fixture.leave(bob)
        #expect(
            fixture.attach(east, present: [bob], joining: [dan]) == [
                "notify east: left bob", "answer 1: joined",
            ])
    }

    @Test("repeats its last delivery reports, which may have been lost")
    func reports() {
        var fixture = Self.fixture
        _ = fixture.joinAndSubscribe(ann, on: west)
        _ = fixture.read(by: bob)
        let report = DeliveryReport(user: bob.id, range: 1...2)
        #expect(
            fixture.attach(east, delivered: [report]) == [
                "answer 1: joined", "notify west: delivered 1,2 of ann",
            ])
        #expect(fixture.attach(east, delivered: [report]) == ["answer 1: joined"])
    }

    @Test("repeats its reports to a new owner, which must load the authors of the messages first")
    func reportsToNewOwner() {
        var fixture = Self.fixture
        _ = fixture.joinAndSubscribe(ann, on: west)
        let report = DeliveryReport(user: bob.id, range: 1...2)
        #expect(
            fixture.attach(east, delivered: [report]) == [
                "answer 1: joined", "notify west: delivered 1,2 of ann",
            ])
    }

    @Test("reports the slot of its feed, which a later attachment replaces")
    func feedSlot() {
        var fixture = Self.fixture
        let attachment = ConversationInput.attach(Attachment(present: []))
        _ = fixture.handle(attachment, from: RequestOrigin(loop: east, request: 1, feedSlot: 7))
        _ = fixture.handle(attachment, from: RequestOrigin(loop: east, request: 2, feedSlot: 8))
        #expect(fixture.conversation.subscribers.count == 1)
        #expect(fixture.conversation.subscribers[0].feedSlot == 8)
    }
}
