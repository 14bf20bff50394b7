import ChatModel
import Testing

@testable import ChatCore

@Suite("An edit")
struct EditTests {
    /// Ann and Bob, and a message of Ann's.
    private static var fixture: ConversationFixture {
        var stage = ConversationFixture(of: [ann, bob])
        _ = stage.post("hello", by: ann, id: "a")
        return stage
    }

    @Test("gives a message other words, and leaves its number, time and author")
    func edits() {
        var stage = Self.fixture
        let before = stage.store.messages[0]
        _ = stage.advance(by: .seconds(1))
        #expect(
            stage.edit(1, to: "hallo", by: ann, request: 1) == ["event: edited 1 hallo, answers 1"])
        let after = stage.store.messages[0]
        #expect(after.sentAt == before.sentAt)
        #expect(after.body.author == ann)
        #expect(after.body.clientMessageID == before.body.clientMessageID)
        #expect(after.revision == before.revision + 1)
        #expect(after.state == .edited)
    }

    @Test("is the author's right and an admin's, member or not")
    func permission() {
        var stage = Self.fixture
        #expect(
            stage.edit(1, to: "ho", by: bob) == [
                refused(.notAllowed("the author of a message or an admin"))
            ])
        #expect(stage.edit(1, to: "ho", by: cid, admin: true) == ["event: edited 1 ho"])
    }

    @Test("needs a message that is there: stored, and still kept")
    func exists() {
        var limits = ChatLimits()
        limits.historyLimit = 2
        var stage = ConversationFixture(of: [ann], limits)
        for number in 1...3 { _ = stage.post("\(number)", by: ann) }
        for sequence in [-1, 0, 1, 4] {
            #expect(stage.edit(sequence, to: "no", by: ann) == [refused(.noSuchMessage(sequence))])
        }
        for sequence in [2, 3] {
            #expect(stage.edit(sequence, to: "yes", by: ann) == ["event: edited \(sequence) yes"])
        }
        stage.isStoreSlow = true
        _ = stage.post("4", by: ann)
        #expect(stage.edit(4, to: "no", by: ann) == [refused(.noSuchMessage(4))])
    }

    @Test("finds no message that the store has no longer")
    func gone() {
        var stage = Self.fixture
        stage.store.oldest = 2
        #expect(stage.edit(1, to: "ho", by: ann) == [refused(.noSuchMessage(1))])
    }

    @Test("may be tried again when the store cannot be asked")
    func storeFails() {
        var stage = Self.fixture
        stage.isStoreSlow = true
        _ = stage.edit(1, to: "ho", by: ann)
        #expect(stage.failStore() == [refused(.unavailable)])
    }

    @Test("of a deleted message is refused")
    func ofDeletedMessage() {
        var stage = Self.fixture
        _ = stage.delete(1, by: ann)
        #expect(stage.edit(1, to: "ho", by: ann) == [refused(.messageDeleted(1))])
    }

    @Test("of a message whose deletion is on its way is refused")
    func ofMessageBeingDeleted() {
        var stage = Self.fixture
        stage.isStoreSlow = true
        _ = stage.delete(1, by: ann)
        _ = stage.answerStore()
        _ = stage.edit(1, to: "ho", by: ann, request: 1)
        #expect(stage.answerStoreNewest() == ["answer 1: refused, \(ChatError.messageDeleted(1))"])
    }

    @Test("of a message that was deleted while it was looked up is refused")
    func ofMessageDeletedDuringLookup() {
        var stage = Self.fixture
        stage.isStoreSlow = true
        _ = stage.edit(1, to: "ho", by: ann)
        _ = stage.delete(1, by: ann)
        _ = stage.answerStoreNewest()
        #expect(stage.answerStoreNewest() == ["event: deleted 1"])
        #expect(stage.answerStore() == [refused(.messageDeleted(1))])
    }

    @Test(
        "is refused when the conversation has ended, or the author left, while the message was looked up"
    )
    func changesDuringLookup() {
        var ended = Self.fixture
        ended.isStoreSlow = true
        _ = ended.edit(1, to: "ho", by: ann)
        _ = ended.end(by: ann)
        #expect(ended.answerStore(1) == [refused(.conversationEnded)])

        var left = Self.fixture
        left.isStoreSlow = true
        _ = left.edit(1, to: "ho", by: ann)
        _ = left.leave(ann)
        #expect(left.answerStore(1) == [refused(.notAMember)])
    }

    @Test("asked again finds itself done, and a second edit to the same words does not")
    func repeated() {
        var stage = Self.fixture
        _ = stage.edit(1, to: "ho", by: ann, request: 1)
        #expect(
            stage.edit(1, to: "ho", by: ann, request: 1, retry: true) == ["answer 1: edited 1 ho"])
        #expect(stage.edit(1, to: "ho", by: ann, request: 2) == ["event: edited 1 ho, answers 2"])
        #expect(
            stage.edit(1, to: "hu", by: ann, request: 3, retry: true) == [
                "event: edited 1 hu, answers 3"
            ])
    }

    @Test("asked again while it is stored gets the answer of the first")
    func repeatedWhilePending() {
        var stage = Self.fixture
        stage.isStoreSlow = true
        _ = stage.edit(1, to: "ho", by: ann, request: 1)
        _ = stage.edit(1, to: "ho", by: ann, request: 2, retry: true)
        #expect(stage.answerStore() == [])
        #expect(stage.answerStore() == ["event: edited 1 ho, answers 1", "answer 2: edited 1 ho"])
    }

    @Test(
        "to the same words is an edit of its own for another request, also while the first is stored"
    )
    func sameWords() {
        var stage = Self.fixture
        stage.isStoreSlow = true
        _ = stage.edit(1, to: "ho", by: ann, request: 1)
        _ = stage.edit(1, to: "ho", by: ann, request: 2)
        #expect(stage.answerStore() == [])
        #expect(
            stage.answerStore() == [
                "event: edited 1 ho, answers 1", "event: edited 1 ho, answers 2",
            ])
    }

    @Test("follows another edit that is on its way")
    func afterAnother() {
        var stage = Self.fixture
        stage.isStoreSlow = true
        _ = stage.edit(1, to: "ho", by: ann, request: 1)
        _ = stage.edit(1, to: "hu", by: ann, request: 2)
        #expect(stage.answerStore() == [])
        #expect(
            stage.answerStore() == [
                "event: edited 1 ho, answers 1", "event: edited 1 hu, answers 2",
            ])
    }
}

@Suite("A deletion")
struct DeletionTests {
    @Test("takes a message's words and leaves its place")
    func deletes() {
        var stage = ConversationFixture(of: [ann])
        _ = stage.submit(
            .post(
                MessageBody(
                    author: ann, clientMessageID: nil, content: "regret", metadata: [123, 125])))
        let before = stage.store.messages[0]
        #expect(stage.delete(1, by: ann, request: 1) == ["event: deleted 1, answers 1"])
        let after = stage.store.messages[0]
        #expect(after.state == .deleted)
        #expect(after.body.content.isEmpty)
        #expect(after.body.metadata == nil)
        #expect(after.body.author == ann)
        #expect(after.sentAt == before.sentAt)
    }

    @Test("is the author's right and an admin's")
    func permission() {
        var stage = ConversationFixture(of: [ann, bob])
        _ = stage.post("hello", by: ann)
        #expect(
            stage.delete(1, by: bob) == [
                refused(.notAllowed("the author of a message or an admin"))
            ])
        #expect(stage.delete(1, by: bob, admin: true) == ["event: deleted 1"])
    }

    @Test("is done once: again it is refused, unless it is the same request")
    func twice() {
        var stage = ConversationFixture(of: [ann])
        _ = stage.post("hello", by: ann)
        _ = stage.delete(1, by: ann, request: 1)
        #expect(stage.delete(1, by: ann, request: 1, retry: true) == ["answer 1: deleted 1"])
        #expect(
            stage.delete(1, by: ann, request: 2) == [
                "answer 2: refused, \(ChatError.messageDeleted(1))"
            ])
    }

    @Test("asked for twice at once is made once and answered twice")
    func twiceWhilePending() {
        var stage = ConversationFixture(of: [ann, bob])
        _ = stage.post("hello", by: ann)
        stage.isStoreSlow = true
        _ = stage.delete(1, by: ann, request: 1)
        _ = stage.delete(1, by: bob, admin: true, request: 2)
        #expect(stage.answerStore() == [])
        #expect(stage.answerStore() == ["event: deleted 1, answers 1", "answer 2: deleted 1"])
    }

    @Test("is done once, though another was stored while its message was looked up")
    func duringLookup() {
        var stage = ConversationFixture(of: [ann])
        _ = stage.post("hello", by: ann)
        stage.isStoreSlow = true
        _ = stage.delete(1, by: ann, request: 1)
        _ = stage.delete(1, by: ann, request: 2)
        _ = stage.answerStoreNewest()
        #expect(stage.answerStoreNewest() == ["event: deleted 1, answers 2"])
        #expect(stage.answerStore() == ["answer 1: refused, \(ChatError.messageDeleted(1))"])
    }

    @Test("may follow an edit that is on its way")
    func afterEdit() {
        var stage = ConversationFixture(of: [ann])
        _ = stage.post("hello", by: ann)
        stage.isStoreSlow = true
        _ = stage.edit(1, to: "ho", by: ann, request: 1)
        _ = stage.delete(1, by: ann, request: 2)
        #expect(stage.answerStore() == [])
        #expect(
            stage.answerStore() == ["event: edited 1 ho, answers 1", "event: deleted 1, answers 2"])
    }
}
