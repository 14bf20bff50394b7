import Bytes
import ChatModel
import Testing

@testable import ChatCore

@Suite("A conversation, as operators see it")
struct ConversationInspectionTests {
    @Test("has its numbers, members, cursors and subscribers")
    func inspection() throws {
        var fixture = ConversationFixture(of: [ann, bob, cid])
        _ = fixture.joinAndSubscribe(ann)
        _ = fixture.post("one", by: ann)
        _ = fixture.post("two", by: bob)
        _ = fixture.read(1, by: bob)
        let now = fixture.now.monotonic
        let found = try #require(fixture.conversation.inspection(memberLimit: 2, at: now))
        #expect(found.summary.memberCount == 3 && found.summary.presentCount == 1)
        #expect(found.summary.head == 2 && found.summary.retainedCount == 2 && found.oldest == 1)
        #expect(found.summary.messagesPerSecond == 0.2)
        #expect(found.summary.updatedAt == fixture.now.wall)
        #expect(found.unstoredChanges == 0)
        // Only two of three, in the order in which they joined.
        #expect(found.members.map(\.member.user) == [ann.id, bob.id])
        #expect(found.members.map(\.member.readCursor) == [0, 1])
        #expect(found.members.map(\.loops) == [[east], []])
        #expect(found.subscribers == [east])
    }

    @Test("names the changes that the store has not confirmed")
    func unstored() throws {
        var fixture = ConversationFixture(of: [ann])
        fixture.isStoreSlow = true
        _ = fixture.post("one", by: ann)
        let found = try #require(
            fixture.conversation.inspection(memberLimit: 1, at: fixture.now.monotonic))
        #expect(found.unstoredChanges == 1 && found.summary.head == 0)
    }

    @Test("counts only the messages that are retained")
    func retained() throws {
        var limits = Limits()
        limits.historyLimit = 3
        var fixture = ConversationFixture(of: [ann], limits)
        for number in 1...5 { _ = fixture.post("\(number)", by: ann) }
        let summary = try #require(fixture.conversation.summary(at: fixture.now.monotonic))
        #expect(summary.head == 5 && summary.retainedCount == 3)
    }

    @Test("does not exist before it is created")
    func missing() {
        let conversation = Conversation(rules: ConversationRules(Limits()))
        #expect(conversation.summary(at: 0) == nil)
        #expect(conversation.inspection(memberLimit: 1, at: 0) == nil)
    }
}
