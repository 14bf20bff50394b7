import Bytes
import ChatModel
import Testing

@testable import ChatCore

@Suite("Receipts")
struct ReceiptTests {
    /// Ann is there and has said so much; Bob, Cid and Dan are members.
    private static func stage(messages: Int = 3, _ limits: ChatLimits = ChatLimits()) -> Stage {
        var stage = Stage(of: [ann, bob, cid, dan], limits)
        _ = stage.enter(ann)
        for number in 1...messages { _ = stage.say("\(number)", by: ann) }
        return stage
    }

    @Test("tell the author's loops alone that a message was delivered, once, whoever else has it")
    func delivered() {
        var stage = Self.stage()
        #expect(stage.deliver(1...2, to: bob) == ["tell east: delivered 1,2 of ann"])
        #expect(stage.deliver(1...2, to: bob) == [])
        #expect(stage.deliver(1...3, to: cid) == ["tell east: delivered 3 of ann"])
    }

    @Test("are told on every loop on which the author is there")
    func loops() {
        var stage = Self.stage()
        _ = stage.enter(ann, on: west)
        #expect(stage.deliver(1...1, to: bob) == ["tell east west: delivered 1 of ann"])
        _ = stage.leave(ann, on: east)
        #expect(stage.deliver(2...2, to: bob) == ["tell west: delivered 2 of ann"])
    }

    @Test("are told to nobody while the author is away")
    func away() {
        var stage = Self.stage()
        _ = stage.leave(ann)
        #expect(stage.deliver(1...3, to: bob) == [])
    }

    @Test("do not count one's own messages")
    func own() {
        var stage = Self.stage()
        #expect(stage.deliver(1...3, to: ann) == [])
        #expect(stage.read(3, by: ann) == ["event: ann read 3", "answer: read"])
        #expect(stage.deliver(1...3, to: bob) == ["tell east: delivered 1,2,3 of ann"])
    }

    @Test("are told to each author for the messages that are its own")
    func authors() {
        var stage = Self.stage(messages: 1)
        _ = stage.enter(bob, on: west)
        _ = stage.say("2", by: bob)
        _ = stage.say("3", by: ann)
        #expect(stage.deliver(1...3, to: cid) == ["tell east: delivered 1,3 of ann", "tell west: delivered 2 of bob"])
    }

    @Test("tell everybody who has read which messages, and the author that they and all below are delivered and read")
    func read() {
        var stage = Self.stage()
        #expect(
            stage.read(2, by: bob)
                == ["event: bob read 2", "tell east: delivered 1,2 of ann", "tell east: read 1,2 of ann", "answer: read"])
    }

    @Test("tell of what was delivered before only that it is read")
    func readAfterDelivered() {
        var stage = Self.stage()
        _ = stage.deliver(1...3, to: cid)
        #expect(stage.read(2, by: bob) == ["event: bob read 2", "tell east: read 1,2 of ann", "answer: read"])
    }

    @Test("tell the author once, whoever reads after the first")
    func readOnce() {
        var stage = Self.stage()
        _ = stage.read(2, by: bob)
        #expect(stage.read(2, by: cid) == ["event: cid read 2", "answer: read"])
        #expect(stage.read(1, by: bob) == ["event: bob read 1", "answer: read"])
    }

    @Test("of messages that are not there name these to the reader, and nothing to the others")
    func unknown() {
        var stage = Self.stage()
        #expect(
            stage.read(0, 1, 4, by: bob)
                == ["event: bob read 1", "tell east: delivered 1 of ann", "tell east: read 1 of ann", "answer: read, unknown 0,4"])
        #expect(stage.read(9, by: bob) == ["answer: read, unknown 9"])
    }

    @Test("are not given for a message that is not stored yet")
    func notStored() {
        var stage = Self.stage()
        stage.isStoreSlow = true
        _ = stage.say("4", by: ann)
        #expect(stage.deliver(3...4, to: bob) == ["tell east: delivered 3 of ann"])
        #expect(stage.read(4, by: bob) == ["answer: read, unknown 4"])
    }

    @Test("of one read tell of the newest hundred below it, or so many as the limit says, and of those that it names")
    func bound() {
        var limits = ChatLimits()
        limits.readReceipts = 2
        var stage = Self.stage(messages: 9, limits)
        #expect(
            stage.read(3, 9, by: bob)
                == ["event: bob read 3,9", "tell east: delivered 3,8,9 of ann", "tell east: read 3,8,9 of ann", "answer: read"])
        #expect(stage.conversation.members[1].member.readCursor == 9)
    }

    @Test("are taken from members alone")
    func strangers() {
        var stage = Self.stage()
        let stranger = Person(id: UserID(token: "eve"), name: "Eve")
        #expect(stage.deliver(1...3, to: stranger) == [])
        #expect(stage.read(1, by: stranger) == [refused(.notAMember)])
    }

    @Test("of deliveries come late, and count though the receiver has left meanwhile")
    func late() {
        var stage = Self.stage()
        _ = stage.part(bob)
        #expect(stage.deliver(1...3, to: bob) == ["tell east: delivered 1,2,3 of ann"])
    }

    @Test("are not repeated by the next owner, who has the cursors from the store")
    func nextOwner() {
        var stage = Self.stage()
        _ = stage.deliver(1...2, to: bob)
        _ = stage.read(1, by: cid)
        _ = stage.pass(.seconds(5))
        stage.changeOwner()
        _ = stage.enter(ann)
        #expect(stage.deliver(1...3, to: dan) == ["tell east: delivered 3 of ann"])
        #expect(stage.read(3, by: dan) == ["event: dan read 3", "tell east: read 2,3 of ann", "answer: read"])
    }

    @Test("of the author's own cursors the next owner takes no notice")
    func ownCursor() {
        var stage = Self.stage()
        _ = stage.read(3, by: ann)
        _ = stage.pass(.seconds(1))
        stage.changeOwner()
        _ = stage.enter(ann)
        #expect(stage.deliver(1...1, to: bob) == ["tell east: delivered 1 of ann"])
    }
}
