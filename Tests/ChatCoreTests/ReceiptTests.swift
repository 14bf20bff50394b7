import Bytes
import ChatModel
import Testing

@testable import ChatCore

@Suite("Receipts")
struct ReceiptTests {
    /// Ann is present and has sent this many messages; Bob, Cid and Dan are members.
    private static func fixture(messages: Int = 3, _ limits: Limits = Limits())
        -> ConversationFixture
    {
        var fixture = ConversationFixture(of: [ann, bob, cid, dan], limits)
        _ = fixture.joinAndSubscribe(ann)
        for number in 1...messages { _ = fixture.post("\(number)", by: ann) }
        return fixture
    }

    @Test("of a delivery go only to the author's loops, and only for the first receiver")
    func delivered() {
        var fixture = Self.fixture()
        #expect(fixture.reportDelivered(1...2, to: bob) == ["notify east: delivered 1,2 of ann"])
        #expect(fixture.reportDelivered(1...2, to: bob) == [])
        #expect(fixture.reportDelivered(1...3, to: cid) == ["notify east: delivered 3 of ann"])
    }

    @Test("go to every loop on which the author is present")
    func loops() {
        var fixture = Self.fixture()
        _ = fixture.joinAndSubscribe(ann, on: west)
        #expect(fixture.reportDelivered(1...1, to: bob) == ["notify east west: delivered 1 of ann"])
        _ = fixture.unsubscribe(ann, on: east)
        #expect(fixture.reportDelivered(2...2, to: bob) == ["notify west: delivered 2 of ann"])
    }

    @Test("are not sent while the author is absent")
    func authorAbsent() {
        var fixture = Self.fixture()
        _ = fixture.unsubscribe(ann)
        #expect(fixture.reportDelivered(1...3, to: bob) == [])
    }

    @Test("do not count the author's own cursors")
    func ownMessages() {
        var fixture = Self.fixture()
        #expect(fixture.reportDelivered(1...3, to: ann) == [])
        #expect(fixture.read(3, by: ann) == ["event: ann read 3", "answer: read"])
        #expect(fixture.reportDelivered(1...3, to: bob) == ["notify east: delivered 1,2,3 of ann"])
    }

    @Test("go to each author for its own messages")
    func authors() {
        var fixture = Self.fixture(messages: 1)
        _ = fixture.joinAndSubscribe(bob, on: west)
        _ = fixture.post("2", by: bob)
        _ = fixture.post("3", by: ann)
        #expect(
            fixture.reportDelivered(1...3, to: cid) == [
                "notify east: delivered 1,3 of ann", "notify west: delivered 2 of bob",
            ])
    }

    @Test(
        "of a read list its messages, and mark these and all below for the author"
    )
    func read() {
        var fixture = Self.fixture()
        #expect(
            fixture.read(2, by: bob)
                == [
                    "event: bob read 2", "notify east: delivered 1,2 of ann",
                    "notify east: read 1,2 of ann", "answer: read",
                ])
    }

    @Test("of a read after a delivery report only the read")
    func readAfterDelivered() {
        var fixture = Self.fixture()
        _ = fixture.reportDelivered(1...3, to: cid)
        #expect(
            fixture.read(2, by: bob) == [
                "event: bob read 2", "notify east: read 1,2 of ann", "answer: read",
            ])
    }

    @Test("of a read go to the author only for the first reader")
    func readOnce() {
        var fixture = Self.fixture()
        _ = fixture.read(2, by: bob)
        #expect(fixture.read(2, by: cid) == ["event: cid read 2", "answer: read"])
        #expect(fixture.read(1, by: bob) == ["answer: read"])
    }

    @Test("of a read that moves no position cause no event and no write, however often it comes")
    func unmoved() {
        var fixture = Self.fixture()
        _ = fixture.read(3, by: bob)
        fixture.clearStoreRequests()
        for _ in 0..<3 {
            #expect(fixture.read(3, 3, 1, by: bob) == ["answer: read"])
            #expect(fixture.submit(.readThrough(2, by: bob.id), request: 7) == ["answer 7: read"])
        }
        #expect(fixture.storeRequests == [])
    }

    @Test("of a read list each message once, and only the newest 100 that it names")
    func repeatedIDs() {
        var fixture = Self.fixture(messages: 150)
        let named = Array(repeating: Array(1...150), count: 40).flatMap(\.self)
        let listed = (51...150).map(String.init).joined(separator: ",")
        #expect(
            fixture.submit(.read(named, by: bob.id), request: 7).first
                == "event: bob read \(listed)")
        #expect(fixture.read(151, 151, 0, by: bob) == ["answer: read, unknown 0,151"])
    }

    @Test("of missing messages list these for the reader, and cause no event")
    func unknown() {
        var fixture = Self.fixture()
        #expect(
            fixture.read(0, 1, 4, by: bob)
                == [
                    "event: bob read 1", "notify east: delivered 1 of ann",
                    "notify east: read 1 of ann", "answer: read, unknown 0,4",
                ])
        #expect(fixture.read(9, by: bob) == ["answer: read, unknown 9"])
    }

    @Test("are not given for a message that is not stored yet")
    func notStored() {
        var fixture = Self.fixture()
        fixture.isStoreSlow = true
        _ = fixture.post("4", by: ann)
        #expect(fixture.reportDelivered(3...4, to: bob) == ["notify east: delivered 3 of ann"])
        #expect(fixture.read(4, by: bob) == ["answer: read, unknown 4"])
    }

    @Test(
        "of one read cover the newest 100 below it, or as many as the limit, and those it lists"
    )
    func bound() {
        var limits = Limits()
        limits.readReceiptLimit = 2
        var fixture = Self.fixture(messages: 9, limits)
        #expect(
            fixture.read(3, 9, by: bob)
                == [
                    "event: bob read 3,9", "notify east: delivered 3,8,9 of ann",
                    "notify east: read 3,8,9 of ann", "answer: read",
                ])
        #expect(fixture.conversation.members[1].member.readCursor == 9)
    }

    @Test("are only accepted from members")
    func nonMembers() {
        var fixture = Self.fixture()
        let nonMember = Person(id: UserID(tokenSubject: "eve"), name: "Eve")
        #expect(fixture.reportDelivered(1...3, to: nonMember) == [])
        #expect(fixture.read(1, by: nonMember) == [refused(.noSuchConversation)])
    }

    @Test("of late deliveries count even if the receiver has left meanwhile")
    func late() {
        var fixture = Self.fixture()
        _ = fixture.leave(bob)
        #expect(fixture.reportDelivered(1...3, to: bob) == ["notify east: delivered 1,2,3 of ann"])
    }

    @Test("are not repeated by the next owner, which has the cursors from the store")
    func nextOwner() {
        var fixture = Self.fixture()
        _ = fixture.reportDelivered(1...2, to: bob)
        _ = fixture.read(1, by: cid)
        _ = fixture.advance(by: .seconds(5))
        fixture.changeOwner()
        _ = fixture.joinAndSubscribe(ann)
        #expect(fixture.reportDelivered(1...3, to: dan) == ["notify east: delivered 3 of ann"])
        #expect(
            fixture.read(3, by: dan) == [
                "event: dan read 3", "notify east: read 2,3 of ann", "answer: read",
            ])
    }

    @Test("under the next owner ignore the author's own cursors")
    func ownCursor() {
        var fixture = Self.fixture()
        _ = fixture.read(3, by: ann)
        _ = fixture.advance(by: .seconds(1))
        fixture.changeOwner()
        _ = fixture.joinAndSubscribe(ann)
        #expect(fixture.reportDelivered(1...1, to: bob) == ["notify east: delivered 1 of ann"])
    }
}
