import ChatModel
import Testing

@testable import ChatCore

@Suite("An edit")
struct EditTests {
    /// Ann and Bob, and a message by Ann.
    private static var fixture: ConversationFixture {
        var fixture = ConversationFixture(of: [ann, bob])
        _ = fixture.post("hello", by: ann, id: "a")
        return fixture
    }

    @Test("replaces the text of a message and keeps its number, time and author")
    func edits() {
        var fixture = Self.fixture
        let before = fixture.store.messages[0]
        _ = fixture.advance(by: .seconds(1))
        #expect(
            fixture.edit(1, to: "hallo", by: ann, request: 1) == [
                "event: edited 1 hallo, answers 1"
            ])
        let after = fixture.store.messages[0]
        #expect(after.sentAt == before.sentAt)
        #expect(after.body.author == ann)
        #expect(after.body.clientMessageID == before.body.clientMessageID)
        #expect(after.revision == before.revision + 1)
        #expect(after.state == .edited)
    }

    @Test("is allowed for the author and for admins, members or not")
    func permission() {
        var fixture = Self.fixture
        #expect(
            fixture.edit(1, to: "ho", by: bob) == [
                refused(.notAllowed("the author of a message or an admin"))
            ])
        #expect(fixture.edit(1, to: "ho", by: cid, admin: true) == ["event: edited 1 ho"])
    }

    @Test("needs a stored message that is still kept")
    func exists() {
        var limits = Limits()
        limits.historyLimit = 2
        var fixture = ConversationFixture(of: [ann], limits)
        for number in 1...3 { _ = fixture.post("\(number)", by: ann) }
        for sequence in [-1, 0, 1, 4] {
            #expect(
                fixture.edit(sequence, to: "no", by: ann) == [refused(.noSuchMessage(sequence))])
        }
        for sequence in [2, 3] {
            #expect(fixture.edit(sequence, to: "yes", by: ann) == ["event: edited \(sequence) yes"])
        }
        fixture.isStoreSlow = true
        _ = fixture.post("4", by: ann)
        #expect(fixture.edit(4, to: "no", by: ann) == [refused(.noSuchMessage(4))])
    }

    @Test("finds no message that the store no longer has")
    func gone() {
        var fixture = Self.fixture
        fixture.store.oldest = 2
        #expect(fixture.edit(1, to: "ho", by: ann) == [refused(.noSuchMessage(1))])
    }

    @Test("may be retried when the store cannot look up the message")
    func storeFails() {
        var fixture = Self.fixture
        fixture.isStoreSlow = true
        _ = fixture.edit(1, to: "ho", by: ann)
        #expect(fixture.failStore() == [refused(.unavailable)])
    }

    @Test("of a deleted message is refused")
    func ofDeletedMessage() {
        var fixture = Self.fixture
        _ = fixture.delete(1, by: ann)
        #expect(fixture.edit(1, to: "ho", by: ann) == [refused(.messageDeleted(1))])
    }

    @Test("of a message whose deletion is in flight is refused")
    func ofMessageBeingDeleted() {
        var fixture = Self.fixture
        fixture.isStoreSlow = true
        _ = fixture.delete(1, by: ann)
        _ = fixture.answerStore()
        _ = fixture.edit(1, to: "ho", by: ann, request: 1)
        #expect(
            fixture.answerStoreNewest() == ["answer 1: refused, \(ChatError.messageDeleted(1))"])
    }

    @Test("of a message that was deleted during the lookup is refused")
    func ofMessageDeletedDuringLookup() {
        var fixture = Self.fixture
        fixture.isStoreSlow = true
        _ = fixture.delete(1, by: ann)
        _ = fixture.answerStore()
        _ = fixture.edit(1, to: "ho", by: ann)
        #expect(fixture.answerStore(1) == ["event: deleted 1"])
        #expect(fixture.answerStore() == [refused(.messageDeleted(1))])
    }

    @Test("of an ended conversation: only an admin may delete")
    func endedConversation() {
        var fixture = Self.fixture
        _ = fixture.end(by: ann)
        #expect(fixture.delete(1, by: ann) == [refused(.conversationEnded)])
        #expect(fixture.edit(1, to: "ho", by: cid, admin: true) == [refused(.conversationEnded)])
        #expect(fixture.delete(1, by: cid, admin: true) == ["event: deleted 1"])
    }

    @Test(
        "is refused if the conversation ended, or the author left, during the lookup"
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
        #expect(left.answerStore(1) == [refused(.noSuchConversation)])
    }

    @Test("that is retried has no effect, but a second edit to the same text is a new change")
    func repeated() {
        var fixture = Self.fixture
        _ = fixture.edit(1, to: "ho", by: ann, request: 1)
        #expect(
            fixture.edit(1, to: "ho", by: ann, request: 1, retry: true) == ["answer 1: edited 1 ho"]
        )
        #expect(fixture.edit(1, to: "ho", by: ann, request: 2) == ["event: edited 1 ho, answers 2"])
        #expect(
            fixture.edit(1, to: "hu", by: ann, request: 3, retry: true) == [
                "event: edited 1 hu, answers 3"
            ])
    }

    @Test("that is retried while it is in flight gets the answer of the first")
    func repeatedWhilePending() {
        var fixture = Self.fixture
        fixture.isStoreSlow = true
        _ = fixture.edit(1, to: "ho", by: ann, request: 1)
        _ = fixture.edit(1, to: "ho", by: ann, request: 2, retry: true)
        #expect(fixture.answerStore() == [])
        #expect(
            fixture.answerStore() == ["event: edited 1 ho, answers 1", "answer 2: edited 1 ho"])
    }

    @Test("that is retried is not done again over another edit", arguments: 0...2)
    func retriedAfterAnother(storeAnswers: Int) {
        var fixture = Self.fixture
        fixture.isStoreSlow = true
        _ = fixture.edit(1, to: "ho", by: ann, request: 1)
        _ = fixture.edit(1, to: "hu", by: ann, request: 2)
        var output: [String] = []
        // The message is read, and then both edits are stored.
        for _ in 0..<storeAnswers { output += fixture.answerStore() }
        output += fixture.edit(1, to: "ho", by: ann, request: 1, retry: true)
        for _ in storeAnswers..<3 { output += fixture.answerStore() }
        let answers = ["event: edited 1 ho, answers 1", "event: edited 1 hu, answers 2"]
        #expect(output == answers + (storeAnswers == 2 ? ["answer 1: edited 1 hu"] : []))
        #expect(fixture.store.messages[0].body.content == "hu")
    }

    @Test("that was stored and is retried after a deletion is refused")
    func retriedAfterDeletion() {
        var fixture = Self.fixture
        _ = fixture.edit(1, to: "ho", by: ann, request: 1)
        _ = fixture.delete(1, by: ann)
        #expect(
            fixture.edit(1, to: "ho", by: ann, request: 1, retry: true) == [
                "answer 1: refused, \(ChatError.messageDeleted(1))"
            ])
    }

    @Test(
        "to the same text is a new change for another request, even while the first is in flight"
    )
    func sameWords() {
        var fixture = Self.fixture
        fixture.isStoreSlow = true
        _ = fixture.edit(1, to: "ho", by: ann, request: 1)
        _ = fixture.edit(1, to: "ho", by: ann, request: 2)
        #expect(fixture.answerStore() == [])
        #expect(
            fixture.answerStore() == [
                "event: edited 1 ho, answers 1", "event: edited 1 ho, answers 2",
            ])
    }

    @Test("follows another edit that is in flight")
    func afterAnother() {
        var fixture = Self.fixture
        fixture.isStoreSlow = true
        _ = fixture.edit(1, to: "ho", by: ann, request: 1)
        _ = fixture.edit(1, to: "hu", by: ann, request: 2)
        #expect(fixture.answerStore() == [])
        #expect(
            fixture.answerStore() == [
                "event: edited 1 ho, answers 1", "event: edited 1 hu, answers 2",
            ])
    }
}

@Suite("A deletion")
struct DeletionTests {
    @Test("removes the text of a message and keeps its number")
    func deletes() {
        var fixture = ConversationFixture(of: [ann])
        _ = fixture.submit(
            .post(
                MessageBody(
                    author: ann, clientMessageID: nil, content: "regret", metadata: [123, 125])))
        let before = fixture.store.messages[0]
        #expect(fixture.delete(1, by: ann, request: 1) == ["event: deleted 1, answers 1"])
        let after = fixture.store.messages[0]
        #expect(after.state == .deleted)
        #expect(after.body.content.isEmpty)
        #expect(after.body.metadata == nil)
        #expect(after.body.author == ann)
        #expect(after.sentAt == before.sentAt)
    }

    @Test("is allowed for the author and for admins")
    func permission() {
        var fixture = ConversationFixture(of: [ann, bob])
        _ = fixture.post("hello", by: ann)
        #expect(
            fixture.delete(1, by: bob) == [
                refused(.notAllowed("the author of a message or an admin"))
            ])
        #expect(fixture.delete(1, by: bob, admin: true) == ["event: deleted 1"])
    }

    @Test("is done once: a second one is refused unless it is a retry")
    func twice() {
        var fixture = ConversationFixture(of: [ann])
        _ = fixture.post("hello", by: ann)
        _ = fixture.delete(1, by: ann, request: 1)
        #expect(fixture.delete(1, by: ann, request: 1, retry: true) == ["answer 1: deleted 1"])
        #expect(
            fixture.delete(1, by: ann, request: 2) == [
                "answer 2: refused, \(ChatError.messageDeleted(1))"
            ])
    }

    @Test("that is requested twice at once is done once and answered twice")
    func twiceWhilePending() {
        var fixture = ConversationFixture(of: [ann, bob])
        _ = fixture.post("hello", by: ann)
        fixture.isStoreSlow = true
        _ = fixture.delete(1, by: ann, request: 1)
        _ = fixture.delete(1, by: bob, admin: true, request: 2)
        #expect(fixture.answerStore() == [])
        #expect(fixture.answerStore() == ["event: deleted 1, answers 1", "answer 2: deleted 1"])
    }

    @Test("is done once, even if another one is stored during the lookup")
    func duringLookup() {
        var fixture = ConversationFixture(of: [ann])
        _ = fixture.post("hello", by: ann)
        fixture.isStoreSlow = true
        _ = fixture.delete(1, by: ann, request: 1)
        _ = fixture.answerStore()
        _ = fixture.delete(1, by: ann, request: 2)
        #expect(fixture.answerStore(1) == ["event: deleted 1, answers 1"])
        #expect(fixture.answerStore() == ["answer 2: refused, \(ChatError.messageDeleted(1))"])
    }

    @Test("is done after the requests before it, for which the message is read only once")
    func sharedLookup() {
        var fixture = ConversationFixture(of: [ann])
        _ = fixture.post("hello", by: ann)
        fixture.isStoreSlow = true
        fixture.clearStoreRequests()
        _ = fixture.edit(1, to: "hallo", by: ann, request: 1)
        _ = fixture.delete(1, by: ann, request: 2)
        #expect(fixture.storeRequests == ["look up 1"])
        _ = fixture.answerStore()
        #expect(
            fixture.answerStore() == [
                "event: edited 1 hallo, answers 1", "event: deleted 1, answers 2",
            ])
    }

    @Test("may follow an edit that is in flight")
    func afterEdit() {
        var fixture = ConversationFixture(of: [ann])
        _ = fixture.post("hello", by: ann)
        fixture.isStoreSlow = true
        _ = fixture.edit(1, to: "ho", by: ann, request: 1)
        _ = fixture.delete(1, by: ann, request: 2)
        #expect(fixture.answerStore() == [])
        #expect(
            fixture.answerStore() == [
                "event: edited 1 ho, answers 1", "event: deleted 1, answers 2",
            ])
    }
}
