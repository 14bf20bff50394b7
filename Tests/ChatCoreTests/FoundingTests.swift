import Bytes
import ChatModel
import Testing

@testable import ChatCore

@Suite("Making a conversation")
struct FoundingTests {
    private func founding(
        by person: Person = ann, of members: [Person], kind: ConversationRecord.Kind = .pets, title: String = "",
        details: ByteString = "rex"
    ) -> ChatCommand {
        .create(
            Founding(kind: kind, title: title, details: details, creator: Actor(person: person, isAdmin: false), members: members))
    }

    @Test("has all its members from the first moment, and is described to its creator when the last of them is stored")
    func members() {
        var stage = Stage()
        stage.isStoreSlow = true
        _ = stage.ask(self.founding(of: [ann, bob, cid, bob], title: "Rex"), request: 1)
        #expect(stage.answerStore(1) == [])
        #expect(stage.asked == ["load", "1 create", "2 member ann Ann", "3 member bob Bob", "4 member cid Cid"])
        #expect(stage.answerStore(3) == ["event: created", "event: joined ann", "event: joined bob"])
        #expect(stage.answerStore() == ["event: joined cid", "answer 1: described"])
        #expect(stage.shelf.members.map(\.role) == [.creator, .member, .member])
        #expect(stage.shelf.record?.title == "Rex")
        #expect(stage.shelf.record?.details == "rex")
        #expect(stage.described?.members.map(\.user) == [ann.id, bob.id, cid.id])
        stage.isStoreSlow = false
        #expect(stage.say("hi", by: cid) == ["event: posted 1 hi, answers"] || stage.announced.count == 1)
    }

    @Test("without members is possible, and its creator is none of them then")
    func empty() {
        var stage = Stage()
        #expect(stage.ask(self.founding(of: [], kind: .chats), request: 1) == ["event: created", "answer 1: described"])
        #expect(stage.shelf.record?.creator == ann.id)
        #expect(stage.say("hi", by: ann) == [ChatCoreTests.refused(.notAMember)])
    }

    @Test("is open or closed by what it is made as", arguments: [ConversationRecord.Kind.pets, .conversations, .agents, .chats, .rooms])
    func access(kind: ConversationRecord.Kind) {
        var stage = Stage()
        _ = stage.ask(self.founding(of: [ann], kind: kind))
        #expect(stage.shelf.record?.access == (kind == .chats || kind == .rooms ? .open : .closed))
        #expect(stage.shelf.record?.kind == kind)
    }

    @Test("is done once: again it is refused, unless it is the same request")
    func twice() {
        var stage = Stage()
        _ = stage.ask(self.founding(of: [ann]), request: 1)
        #expect(stage.ask(self.founding(of: [ann]), request: 2) == ["answer 2: refused, \(ChatError.conversationExists)"])
        #expect(stage.ask(self.founding(of: [ann]), request: 1, again: true) == ["answer 1: described"])
        #expect(
            stage.ask(self.founding(by: bob, of: [ann]), request: 3, again: true)
                == ["answer 3: refused, \(ChatError.conversationExists)"])
        #expect(
            stage.ask(self.founding(of: [ann], details: "tom"), request: 4, again: true)
                == ["answer 4: refused, \(ChatError.conversationExists)"])
    }

    @Test("asked again while it is stored is answered once")
    func onItsWay() {
        var stage = Stage()
        stage.isStoreSlow = true
        _ = stage.ask(self.founding(of: [ann]), request: 1)
        _ = stage.answerStore(1)
        #expect(stage.ask(self.founding(of: [ann]), request: 1, again: true) == [])
        #expect(stage.answerStore() == ["event: created", "event: joined ann", "answer 1: described"])
    }

    @Test("that the store does not take may be tried again")
    func refused() {
        var stage = Stage()
        #expect(stage.losing { $0.ask(self.founding(of: [ann]), request: 1) } == ["answer 1: refused, \(ChatError.unavailable)"])
        stage.conversation.isStoreAway = true
        #expect(stage.ask(self.founding(of: [ann]), request: 1) == ["answer 1: refused, \(ChatError.unavailable)"])
        stage.conversation.isStoreAway = false
        #expect(stage.ask(self.founding(of: [ann]), request: 1).last == "answer 1: described")
    }

    @Test("may have as many members as a conversation may have")
    func tooMany() {
        var limits = ChatLimits()
        limits.membersPerConversation = 2
        var stage = Stage(limits)
        #expect(stage.ask(self.founding(of: [ann, bob, cid]), request: 1) == ["answer 1: refused, \(ChatError.tooManyMembers(limit: 2))"])
        #expect(stage.asked == ["load"])
    }

    @Test("tells who comes in whether that made it a member, and what it has read")
    func newMember() {
        var stage = Stage()
        _ = stage.ask(self.founding(of: [ann, bob]))
        _ = stage.say("hi", by: ann)
        _ = stage.read(1, by: bob)
        _ = stage.enter(bob)
        #expect(stage.entered?.isNewMember == false)
        #expect(stage.entered?.member?.readCursor == 1)
        _ = stage.enter(cid, listed: true)
        #expect(stage.entered?.isNewMember == true)
        #expect(stage.entered?.member?.user == cid.id)
    }

    @Test("shows itself to guests as far as they are admitted")
    func guests() {
        func describe(_ stage: inout Stage, _ guests: Guests) -> [String] {
            stage.ask(.describe(by: Actor(person: dan, isAdmin: false), guests: guests))
        }
        var open = Stage()
        #expect(describe(&open, .all) == [ChatCoreTests.refused(.noSuchConversation)])
        _ = open.ask(self.founding(of: [ann], kind: .rooms))
        #expect(describe(&open, .none) == [ChatCoreTests.refused(.notAMember)])
        #expect(describe(&open, .ofOpen) == ["answer: described"])
        var closed = Stage()
        _ = closed.ask(self.founding(of: [ann], kind: .pets))
        #expect(describe(&closed, .ofOpen) == [ChatCoreTests.refused(.notAMember)])
        #expect(describe(&closed, .all) == ["answer: described"])
    }
}
