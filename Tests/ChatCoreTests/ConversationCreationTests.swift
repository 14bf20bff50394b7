import Bytes
import ChatModel
import Testing

@testable import ChatCore

@Suite("Making a conversation")
struct ConversationCreationTests {
    private func newConversation(
        by person: Person = ann, of members: [Person], kind: ConversationRecord.Kind = .pets,
        title: String = "",
        dialectData details: ByteString = "rex"
    ) -> ChatCommand {
        .create(
            NewConversation(
                kind: kind, title: title, dialectData: details,
                creator: Principal(person: person, isAdmin: false), members: members))
    }

    @Test(
        "has all its members from the first moment, and is described to its creator when the last of them is stored"
    )
    func members() {
        var stage = ConversationFixture()
        stage.isStoreSlow = true
        _ = stage.submit(self.newConversation(of: [ann, bob, cid, bob], title: "Rex"), request: 1)
        #expect(stage.answerStore(1) == [])
        #expect(
            stage.storeRequests == [
                "load", "1 create", "2 member ann Ann", "3 member bob Bob", "4 member cid Cid",
            ])
        #expect(
            stage.answerStore(3) == ["event: created", "event: joined ann", "event: joined bob"])
        #expect(stage.answerStore() == ["event: joined cid", "answer 1: described"])
        #expect(stage.store.members.map(\.role) == [.creator, .member, .member])
        #expect(stage.store.record?.title == "Rex")
        #expect(stage.store.record?.dialectData == "rex")
        #expect(stage.lastDetails?.members.map(\.user) == [ann.id, bob.id, cid.id])
        stage.isStoreSlow = false
        #expect(
            stage.post("hi", by: cid) == ["event: posted 1 hi, answers"]
                || stage.announcedMessages.count == 1)
    }

    @Test("without members is possible, and its creator is none of them then")
    func empty() {
        var stage = ConversationFixture()
        #expect(
            stage.submit(self.newConversation(of: [], kind: .chats), request: 1) == [
                "event: created", "answer 1: described",
            ])
        #expect(stage.store.record?.creator == ann.id)
        #expect(stage.post("hi", by: ann) == [ChatCoreTests.refused(.notAMember)])
    }

    @Test(
        "is open or closed by what it is made as",
        arguments: [ConversationRecord.Kind.pets, .conversations, .agents, .chats, .rooms])
    func joinPolicy(kind: ConversationRecord.Kind) {
        var stage = ConversationFixture()
        _ = stage.submit(self.newConversation(of: [ann], kind: kind))
        #expect(
            stage.store.record?.joinPolicy == (kind == .chats || kind == .rooms ? .open : .closed))
        #expect(stage.store.record?.kind == kind)
    }

    @Test("is done once: again it is refused, unless it is the same request")
    func twice() {
        var stage = ConversationFixture()
        _ = stage.submit(self.newConversation(of: [ann]), request: 1)
        #expect(
            stage.submit(self.newConversation(of: [ann]), request: 2) == [
                "answer 2: refused, \(ChatError.conversationExists)"
            ])
        #expect(
            stage.submit(self.newConversation(of: [ann]), request: 1, retry: true) == [
                "answer 1: described"
            ])
        #expect(
            stage.submit(self.newConversation(by: bob, of: [ann]), request: 3, retry: true)
                == ["answer 3: refused, \(ChatError.conversationExists)"])
        #expect(
            stage.submit(
                self.newConversation(of: [ann], dialectData: "tom"), request: 4, retry: true)
                == ["answer 4: refused, \(ChatError.conversationExists)"])
    }

    @Test("asked again while it is stored is answered once")
    func repeatedWhilePending() {
        var stage = ConversationFixture()
        stage.isStoreSlow = true
        _ = stage.submit(self.newConversation(of: [ann]), request: 1)
        _ = stage.answerStore(1)
        #expect(stage.submit(self.newConversation(of: [ann]), request: 1, retry: true) == [])
        #expect(
            stage.answerStore() == ["event: created", "event: joined ann", "answer 1: described"])
    }

    @Test("that the store does not take may be tried again")
    func refused() {
        var stage = ConversationFixture()
        #expect(
            stage.failingStore { $0.submit(self.newConversation(of: [ann]), request: 1) } == [
                "answer 1: refused, \(ChatError.unavailable)"
            ])
        stage.conversation.areWritesUnavailable = true
        #expect(
            stage.submit(self.newConversation(of: [ann]), request: 1) == [
                "answer 1: refused, \(ChatError.unavailable)"
            ])
        stage.conversation.areWritesUnavailable = false
        #expect(
            stage.submit(self.newConversation(of: [ann]), request: 1).last == "answer 1: described")
    }

    @Test("may have as many members as a conversation may have")
    func tooMany() {
        var limits = ChatLimits()
        limits.membersPerConversation = 2
        var stage = ConversationFixture(limits)
        #expect(
            stage.submit(self.newConversation(of: [ann, bob, cid]), request: 1) == [
                "answer 1: refused, \(ChatError.tooManyMembers(limit: 2))"
            ])
        #expect(stage.storeRequests == ["load"])
    }

    @Test("tells who comes in whether that made it a member, and what it has read")
    func newMember() {
        var stage = ConversationFixture()
        _ = stage.submit(self.newConversation(of: [ann, bob]))
        _ = stage.post("hi", by: ann)
        _ = stage.read(1, by: bob)
        _ = stage.joinAndSubscribe(bob)
        #expect(stage.lastJoinResult?.isNewMember == false)
        #expect(stage.lastJoinResult?.member?.readCursor == 1)
        _ = stage.joinAndSubscribe(cid, listed: true)
        #expect(stage.lastJoinResult?.isNewMember == true)
        #expect(stage.lastJoinResult?.member?.user == cid.id)
    }

    @Test("shows itself to guests as far as they are admitted")
    func readAccess() {
        func describe(_ stage: inout ConversationFixture, _ guests: ReadAccess) -> [String] {
            stage.submit(.describe(by: Principal(person: dan, isAdmin: false), readAccess: guests))
        }
        var open = ConversationFixture()
        #expect(describe(&open, .anyone) == [ChatCoreTests.refused(.noSuchConversation)])
        _ = open.submit(self.newConversation(of: [ann], kind: .rooms))
        #expect(describe(&open, .membersOnly) == [ChatCoreTests.refused(.notAMember)])
        #expect(describe(&open, .anyoneIfOpen) == ["answer: described"])
        var closed = ConversationFixture()
        _ = closed.submit(self.newConversation(of: [ann], kind: .pets))
        #expect(describe(&closed, .anyoneIfOpen) == [ChatCoreTests.refused(.notAMember)])
        #expect(describe(&closed, .anyone) == ["answer: described"])
    }
}
