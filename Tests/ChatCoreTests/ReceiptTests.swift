import Bytes
import ChatModel
import Testing

@testable import ChatCore

@Suite("Receipts")
struct ReceiptTests {
    /// Ann is there and has said so much; Bob, Cid and Dan are members.
    private static func fixture(messages: Int = 3, _ limits: ChatLimits = ChatLimits())
        -> ConversationFixture
    {
        var stage = ConversationFixture(of: [ann, bob, cid, dan], limits)
        _ = stage.joinAndSubscribe(ann)
        for number in 1...messages { _ = stage.post("\(number)", by: ann) }
        return stage
    }

    @Test("tell the author's loops alone that a message was delivered, once, whoever else has it")
    func delivered() {
        var stage = Self.fixture()
        #expect(stage.reportDelivered(1...2, to: bob) == ["tell east: delivered 1,2 of ann"])
        #expect(stage.reportDelivered(1...2, to: bob) == [])
        #expect(stage.reportDelivered(1...3, to: cid) == ["tell east: delivered 3 of ann"])
    }

    @Test("are told on every loop on which the author is there")
    func loops() {
        var stage = Self.fixture()
        _ = stage.joinAndSubscribe(ann, on: west)
        #expect(stage.reportDelivered(1...1, to: bob) == ["tell east west: delivered 1 of ann"])
        _ = stage.unsubscribe(ann, on: east)
        #expect(stage.reportDelivered(2...2, to: bob) == ["tell west: delivered 2 of ann"])
    }

    @Test("are told to nobody while the author is away")
    func authorAbsent() {
        var stage = Self.fixture()
        _ = stage.unsubscribe(ann)
        #expect(stage.reportDelivered(1...3, to: bob) == [])
    }

    @Test("do not count one's own messages")
    func ownMessages() {
        var stage = Self.fixture()
        #expect(stage.reportDelivered(1...3, to: ann) == [])
        #expect(stage.read(3, by: ann) == ["event: ann read 3", "answer: read"])
        #expect(stage.reportDelivered(1...3, to: bob) == ["tell east: delivered 1,2,3 of ann"])
    }

    @Test("are told to each author for the messages that are its own")
    func authors() {
        var stage = Self.fixture(messages: 1)
        _ = stage.joinAndSubscribe(bob, on: west)
        _ = stage.post("2", by: bob)
        _ = stage.post("3", by: ann)
        #expect(
            stage.reportDelivered(1...3, to: cid) == [
                "tell east: delivered 1,3 of ann", "tell west: delivered 2 of bob",
            ])
    }

    @Test(
        "tell everybody who has read which messages, and the author that they and all below are delivered and read"
    )
    func read() {
        var stage = Self.fixture()
        #expect(
            stage.read(2, by: bob)
                == [
                    "event: bob read 2", "tell east: delivered 1,2 of ann",
                    "tell east: read 1,2 of ann", "answer: read",
                ])
    }

    @Test("tell of what was delivered before only that it is read")
    func readAfterDelivered() {
        var stage = Self.fixture()
        _ = stage.reportDelivered(1...3, to: cid)
        #expect(
            stage.read(2, by: bob) == [
                "event: bob read 2", "tell east: read 1,2 of ann", "answer: read",
            ])
    }

    @Test("tell the author once, whoever reads after the first")
    func readOnce() {
        var stage = Self.fixture()
        _ = stage.read(2, by: bob)
        #expect(stage.read(2, by: cid) == ["event: cid read 2", "answer: read"])
        #expect(stage.read(1, by: bob) == ["event: bob read 1", "answer: read"])
    }

    @Test("of messages that are not there name these to the reader, and nothing to the others")
    func unknown() {
        var stage = Self.fixture()
        #expect(
            stage.read(0, 1, 4, by: bob)
                == [
                    "event: bob read 1", "tell east: delivered 1 of ann",
                    "tell east: read 1 of ann", "answer: read, unknown 0,4",
                ])
        #expect(stage.read(9, by: bob) == ["answer: read, unknown 9"])
    }

    @Test("are not given for a message that is not stored yet")
    func notStored() {
        var stage = Self.fixture()
        stage.isStoreSlow = true
        _ = stage.post("4", by: ann)
        #expect(stage.reportDelivered(3...4, to: bob) == ["tell east: delivered 3 of ann"])
        #expect(stage.read(4, by: bob) == ["answer: read, unknown 4"])
    }

    @Test(
        "of one read tell of the newest hundred below it, or so many as the limit says, and of those that it names"
    )
    func bound() {
        var limits = ChatLimits()
        limits.readReceiptLimit = 2
        var stage = Self.fixture(messages: 9, limits)
        #expect(
            stage.read(3, 9, by: bob)
                == [
                    "event: bob read 3,9", "tell east: delivered 3,8,9 of ann",
                    "tell east: read 3,8,9 of ann", "answer: read",
                ])
        #expect(stage.conversation.members[1].member.readCursor == 9)
    }

    @Test("are taken from members alone")
    func nonMembers() {
        var stage = Self.fixture()
        let stranger = Person(id: UserID(tokenSubject: "eve"), name: "Eve")
        #expect(stage.reportDelivered(1...3, to: stranger) == [])
        #expect(stage.read(1, by: stranger) == [refused(.notAMember)])
    }

    @Test("of deliveries come late, and count though the receiver has left meanwhile")
    func late() {
        var stage = Self.fixture()
        _ = stage.leave(bob)
        #expect(stage.reportDelivered(1...3, to: bob) == ["tell east: delivered 1,2,3 of ann"])
    }

    @Test("are not repeated by the next owner, who has the cursors from the store")
    func nextOwner() {
        var stage = Self.fixture()
        _ = stage.reportDelivered(1...2, to: bob)
        _ = stage.read(1, by: cid)
        _ = stage.advance(by: .seconds(5))
        stage.changeOwner()
        _ = stage.joinAndSubscribe(ann)
        #expect(stage.reportDelivered(1...3, to: dan) == ["tell east: delivered 3 of ann"])
        #expect(
            stage.read(3, by: dan) == [
                "event: dan read 3", "tell east: read 2,3 of ann", "answer: read",
            ])
    }

    @Test("of the author's own cursors the next owner takes no notice")
    func ownCursor() {
        var stage = Self.fixture()
        _ = stage.read(3, by: ann)
        _ = stage.advance(by: .seconds(1))
        stage.changeOwner()
        _ = stage.joinAndSubscribe(ann)
        #expect(stage.reportDelivered(1...1, to: bob) == ["tell east: delivered 1 of ann"])
    }
}
