import Bytes
import ChatModel
import ChatSimulation
import Testing

@testable import ChatCore

@Suite("The creation of a conversation")
struct ConversationCreationTests {
    private func newConversation(
        by person: Person = ann, of members: [Person], _ template: ConversationTemplate = .closed,
        title: String = "",
        dialectData: ByteString = "rex"
    ) -> ChatCommand {
        .create(
            NewConversation(
                template, title: title, dialectData: dialectData,
                creator: Principal(person: person, isAdmin: false), members: members))
    }

    @Test(
        "includes all members, and its creator gets the details when the last one is stored"
    )
    func members() {
        var fixture = ConversationFixture()
        fixture.isStoreSlow = true
        _ = fixture.submit(
            self.newConversation(of: [ann, bob, cid, bob], title: "Rex"), request: 1)
        #expect(fixture.answerStore(1) == [])
        #expect(
            fixture.storeRequests == [
                "load", "1 create", "2 member ann Ann", "3 member bob Bob", "4 member cid Cid",
            ])
        #expect(
            fixture.answerStore(3) == ["event: created", "event: joined ann", "event: joined bob"])
        #expect(fixture.answerStore() == ["event: joined cid", "answer 1: described"])
        #expect(fixture.store.members.map(\.role) == [.creator, .member, .member])
        #expect(fixture.store.record?.title == "Rex")
        #expect(fixture.store.record?.dialectData == "rex")
        #expect(fixture.lastDetails?.members.map(\.user) == [ann.id, bob.id, cid.id])
        fixture.isStoreSlow = false
        #expect(
            fixture.post("hi", by: cid) == ["event: posted 1 hi, answers"]
                || fixture.announcedMessages.count == 1)
    }

    @Test("without members is possible, and then the creator is not a member")
    func empty() {
        var fixture = ConversationFixture()
        #expect(
            fixture.submit(self.newConversation(of: [], .listed), request: 1) == [
                "event: created", "answer 1: described",
            ])
        #expect(fixture.store.record?.creator == ann.id)
        #expect(fixture.post("hi", by: ann) == [ChatCoreTests.refused(.notAMember)])
    }

    @Test(
        "gives it the properties of its template, whichever dialect that is of",
        arguments: [
            ConversationTemplate.closed, .listed, .init(origin: "chats", joinPolicy: .open),
            .init(origin: "a sixth dialect", isListed: true),
        ])
    func properties(template: ConversationTemplate) {
        var fixture = ConversationFixture()
        _ = fixture.submit(self.newConversation(of: [ann], template))
        let record = fixture.store.record
        #expect(record?.origin == template.origin)
        #expect(record?.joinPolicy == template.joinPolicy)
        #expect(record?.isListed == template.isListed)
    }

    @Test("is done once: a second one is refused unless it is a retry")
    func twice() {
        var fixture = ConversationFixture()
        _ = fixture.submit(self.newConversation(of: [ann]), request: 1)
        #expect(
            fixture.submit(self.newConversation(of: [ann]), request: 2) == [
                "answer 2: refused, \(ChatError.conversationExists)"
            ])
        #expect(
            fixture.submit(self.newConversation(of: [ann]), request: 1, retry: true) == [
                "answer 1: described"
            ])
        #expect(
            fixture.submit(self.newConversation(by: bob, of: [ann]), request: 3, retry: true)
                == ["answer 3: refused, \(ChatError.conversationExists)"])
        #expect(
            fixture.submit(
                self.newConversation(of: [ann], dialectData: "tom"), request: 4, retry: true)
                == ["answer 4: refused, \(ChatError.conversationExists)"])
    }

    @Test("that is retried while it is in flight is answered once")
    func repeatedWhilePending() {
        var fixture = ConversationFixture()
        fixture.isStoreSlow = true
        _ = fixture.submit(self.newConversation(of: [ann]), request: 1)
        _ = fixture.answerStore(1)
        #expect(fixture.submit(self.newConversation(of: [ann]), request: 1, retry: true) == [])
        #expect(
            fixture.answerStore() == ["event: created", "event: joined ann", "answer 1: described"])
    }

    @Test("that the store refuses may be retried")
    func refused() {
        var fixture = ConversationFixture()
        #expect(
            fixture.failingStore { $0.submit(self.newConversation(of: [ann]), request: 1) } == [
                "answer 1: refused, \(ChatError.unavailable)"
            ])
        fixture.conversation.areWritesUnavailable = true
        #expect(
            fixture.submit(self.newConversation(of: [ann]), request: 1) == [
                "answer 1: refused, \(ChatError.unavailable)"
            ])
        fixture.conversation.areWritesUnavailable = false
        #expect(
            fixture.submit(self.newConversation(of: [ann]), request: 1).last
                == "answer 1: described")
    }

    @Test("is limited to the members that a conversation may have")
    func tooMany() {
        var limits = Limits()
        limits.members = 2
        var fixture = ConversationFixture(limits)
        #expect(
            fixture.submit(self.newConversation(of: [ann, bob, cid]), request: 1) == [
                "answer 1: refused, \(ChatError.tooManyMembers(limit: 2))"
            ])
        #expect(fixture.storeRequests == ["load"])
    }

    @Test("lets a join report whether it made the user a member, and the member's cursors")
    func newMember() {
        var fixture = ConversationFixture()
        _ = fixture.submit(self.newConversation(of: [ann, bob]))
        _ = fixture.post("hi", by: ann)
        _ = fixture.read(1, by: bob)
        _ = fixture.joinAndSubscribe(bob)
        #expect(fixture.lastJoinResult?.isNewMember == false)
        #expect(fixture.lastJoinResult?.member?.readCursor == 1)
        _ = fixture.joinAndSubscribe(cid, listed: true)
        #expect(fixture.lastJoinResult?.isNewMember == true)
        #expect(fixture.lastJoinResult?.member?.user == cid.id)
    }

    @Test("lets other users read the details as far as they have read access")
    func readAccess() {
        func describe(_ fixture: inout ConversationFixture, _ guests: ReadAccess) -> [String] {
            fixture.submit(
                .describe(by: Principal(person: dan, isAdmin: false), readAccess: guests))
        }
        var open = ConversationFixture()
        #expect(describe(&open, .anyone) == [ChatCoreTests.refused(.noSuchConversation)])
        _ = open.submit(self.newConversation(of: [ann], .listed))
        #expect(describe(&open, .membersOnly) == [ChatCoreTests.refused(.notAMember)])
        #expect(describe(&open, .anyoneIfOpen) == ["answer: described"])
        var closed = ConversationFixture()
        _ = closed.submit(self.newConversation(of: [ann]))
        #expect(describe(&closed, .anyoneIfOpen) == [ChatCoreTests.refused(.noSuchConversation)])
        #expect(describe(&closed, .anyone) == ["answer: described"])
    }
}
