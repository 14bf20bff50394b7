import Bytes
import ChatModel
import Testing

@testable import ChatCore

@Suite("A send")
struct PostingTests {
    @Test("gets the next number, without holes, whoever sends")
    func numbers() {
        var stage = Stage(of: [ann, bob])
        #expect(stage.say("one", by: ann) == ["event: posted 1 one"])
        #expect(stage.say("nobody's", by: cid) == [refused(.notAMember)])
        #expect(stage.say("two", by: bob) == ["event: posted 2 two"])
        #expect(stage.say("three", by: ann) == ["event: posted 3 three"])
    }

    @Test("is answered by the event that tells everybody, and not before it is stored")
    func answeredWhenStored() {
        var stage = Stage(of: [ann])
        stage.isStoreSlow = true
        #expect(stage.say("hi", by: ann, request: 7) == [])
        #expect(stage.answerStore() == ["event: posted 1 hi, answers 7"])
    }

    @Test("is told in the order of the numbers, also when several are on their way")
    func several() {
        var stage = Stage(of: [ann, bob])
        stage.isStoreSlow = true
        _ = stage.say("one", by: ann, request: 1)
        _ = stage.say("two", by: bob, request: 2)
        #expect(stage.answerStore() == ["event: posted 1 one, answers 1", "event: posted 2 two, answers 2"])
    }

    @Test("has a revision of its own, like every other change")
    func revisions() {
        var stage = Stage(of: [ann])
        let before = stage.conversation.storedRevision
        _ = stage.say("one", by: ann)
        _ = stage.edit(1, to: "ones", by: ann)
        _ = stage.say("two", by: ann)
        #expect(stage.announced.map(\.revision) == [before + 1, before + 3])
        #expect(stage.conversation.storedRevision == before + 3)
    }

    @Test("is never dated before an earlier one, though the clock is set back")
    func time() {
        var stage = Stage(of: [ann])
        let start = stage.now.wall.milliseconds
        for offset in [0, 5, -60_000, 4, 9] as [Int64] {
            stage.now.wall = Timestamp(milliseconds: start + offset)
            _ = stage.say("hi", by: ann)
        }
        #expect(stage.announced.map { $0.sentAt.milliseconds - start } == [0, 5, 5, 5, 9])
    }

    @Test("is not dated before one that the last owner took")
    func timeOfLastOwner() {
        var stage = Stage(of: [ann])
        _ = stage.say("hi", by: ann)
        stage.changeOwner()
        stage.now.wall.milliseconds -= 1000
        _ = stage.say("hi again", by: ann)
        #expect(stage.announced[0].sentAt == stage.announced[1].sentAt)
    }

    @Test("gets the number after those of the last owner")
    func nextOwner() {
        var stage = Stage(of: [ann])
        _ = stage.say("one", by: ann)
        stage.changeOwner()
        #expect(stage.say("two", by: ann) == ["event: posted 2 two"])
    }

    @Test("is refused while the store is away, and takes no number")
    func storeAway() {
        var stage = Stage(of: [ann])
        stage.conversation.isStoreAway = true
        #expect(stage.say("lost", by: ann) == [refused(.unavailable)])
        stage.conversation.isStoreAway = false
        #expect(stage.say("hi", by: ann) == ["event: posted 1 hi"])
    }
}

@Suite("A send that is repeated")
struct RepeatedSendTests {
    @Test("gets the first answer again, whatever its words, and nobody else hears of it")
    func stored() {
        var stage = Stage(of: [ann])
        #expect(stage.say("first", by: ann, id: "a") == ["event: posted 1 first"])
        _ = stage.pass(.seconds(1))
        #expect(stage.say("second", by: ann, id: "a") == ["answer: posted 1 first"])
        #expect(stage.shelf.messages.count == 1)
    }

    @Test("waits for the first one that is on its way")
    func onItsWay() {
        var stage = Stage(of: [ann])
        stage.isStoreSlow = true
        _ = stage.say("hi", by: ann, id: "a", request: 1)
        #expect(stage.say("hi", by: ann, id: "a", request: 2) == [])
        #expect(stage.answerStore() == ["event: posted 1 hi, answers 1", "answer 2: posted 1 hi"])
    }

    @Test("by the same request gets one answer, however often it was asked again")
    func sameRequest() {
        var stage = Stage(of: [ann])
        stage.isStoreSlow = true
        _ = stage.say("hi", by: ann, id: "a", request: 1)
        _ = stage.say("hi", by: ann, id: "a", request: 2, again: true)
        _ = stage.say("hi", by: ann, id: "a", request: 2, again: true)
        _ = stage.say("hi", by: ann, id: "a", on: west, request: 2, again: true)
        #expect(stage.answerStore() == ["event: posted 1 hi, answers 1", "answer 2: posted 1 hi", "answer 2: posted 1 hi"])
    }

    @Test("is another message where its client gave no id")
    func withoutID() {
        var stage = Stage(of: [ann])
        _ = stage.say("hi", by: ann)
        #expect(stage.say("hi", by: ann) == ["event: posted 2 hi"])
    }

    @Test("is another message where another user sends it")
    func otherAuthor() {
        var stage = Stage(of: [ann, bob])
        _ = stage.say("hi", by: ann, id: "a")
        #expect(stage.say("hi", by: bob, id: "a") == ["event: posted 2 hi"])
    }

    @Test("is known to the next owner")
    func nextOwner() {
        var stage = Stage(of: [ann])
        _ = stage.say("hi", by: ann, id: "a")
        _ = stage.say("more", by: ann, id: "b")
        stage.changeOwner()
        #expect(stage.say("hi", by: ann, id: "a") == ["answer: posted 1 hi"])
    }

    @Test("is answered after the end, and a first one is not")
    func afterTheEnd() {
        var stage = Stage(of: [ann])
        _ = stage.say("hi", by: ann, id: "a")
        _ = stage.end(by: ann)
        #expect(stage.say("hi", by: ann, id: "a") == ["answer: posted 1 hi"])
        #expect(stage.say("hi", by: ann, id: "b") == [refused(.conversationEnded)])
    }

    @Test("is answered while the store takes no writes")
    func storeAway() {
        var stage = Stage(of: [ann])
        _ = stage.say("hi", by: ann, id: "a")
        stage.conversation.isStoreAway = true
        #expect(stage.say("hi", by: ann, id: "a") == ["answer: posted 1 hi"])
    }

    @Test("may be tried again when the store cannot look up the first one")
    func storeFails() {
        var stage = Stage(of: [ann])
        _ = stage.say("hi", by: ann, id: "a")
        stage.isStoreSlow = true
        _ = stage.say("hi", by: ann, id: "a")
        #expect(stage.failStore() == [refused(.unavailable)])
    }

    @Test("is another message when the first one is not kept any more")
    func notKept() {
        var stage = Stage(of: [ann])
        _ = stage.say("hi", by: ann, id: "a")
        stage.shelf.oldest = 2
        #expect(stage.say("hi", by: ann, id: "a") == ["event: posted 2 hi"])
    }

    @Test("does not bring back words that were deleted while the first one was looked up")
    func deletedMeanwhile() {
        var stage = Stage(of: [ann])
        _ = stage.say("regret", by: ann, id: "a")
        stage.isStoreSlow = true
        _ = stage.say("regret", by: ann, id: "a")
        _ = stage.delete(1, by: ann)
        _ = stage.answerStoreNewest()
        #expect(stage.answerStoreNewest() == ["event: deleted 1"])
        #expect(stage.answerStore() == ["answer: posted 1"])
    }

    @Test("is refused when its author has left meanwhile")
    func leftMeanwhile() {
        var stage = Stage(of: [ann, bob])
        _ = stage.say("hi", by: bob, id: "a")
        stage.shelf.oldest = 2
        stage.isStoreSlow = true
        _ = stage.say("hi", by: bob, id: "a")
        _ = stage.part(bob)
        #expect(stage.answerStore(1) == [refused(.notAMember)])
    }
}

@Suite("A send whose fingerprint is another message's")
struct FingerprintTests {
    /// Two ids of the first member's that are remembered alike: the seed of the fingerprints is the process's.
    private static let lookalikes: (String, String) = {
        var seen: [UInt32: Int] = [:]
        for number in 0..<1_000_000 {
            let client = ClientID(stored: ByteString("\(number)"))
            if let other = seen.updateValue(number, forKey: RecentMessages.fingerprint(author: 0, client: client)) {
                return ("\(other)", "\(number)")
            }
        }
        preconditionFailure("a million fingerprints are all different")
    }()

    @Test("becomes a message of its own, and the other's words are not its answer")
    func ownMessage() {
        let (one, other) = Self.lookalikes
        var stage = Stage(of: [ann])
        #expect(stage.say("mine", by: ann, id: one) == ["event: posted 1 mine"])
        #expect(stage.say("another", by: ann, id: other) == ["event: posted 2 another"])
        #expect(stage.say("another", by: ann, id: other) == ["answer: posted 2 another"])
    }

    @Test("becomes one while the other is on its way, and only one however often it is repeated")
    func onItsWay() {
        let (one, other) = Self.lookalikes
        var stage = Stage(of: [ann])
        stage.isStoreSlow = true
        _ = stage.say("mine", by: ann, id: one, request: 1)
        _ = stage.say("another", by: ann, id: other, request: 2)
        _ = stage.say("another", by: ann, id: other, request: 3)
        #expect(stage.answerStore() == ["event: posted 1 mine, answers 1"])
        #expect(stage.answerStore() == ["event: posted 2 another, answers 2", "answer 3: posted 2 another"])
    }

    @Test("becomes one message, though two sends of it look the other up at once")
    func lookedUpTwice() {
        let (one, other) = Self.lookalikes
        var stage = Stage(of: [ann])
        _ = stage.say("mine", by: ann, id: one)
        stage.isStoreSlow = true
        _ = stage.say("another", by: ann, id: other, request: 1)
        _ = stage.say("another", by: ann, id: other, request: 2)
        #expect(stage.answerStore() == [])
        #expect(stage.answerStore() == ["event: posted 2 another, answers 1", "answer 2: posted 2 another"])
    }
}
