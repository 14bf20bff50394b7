import Bytes
import ChatModel
import Testing

@testable import ChatCore

@Suite("A reply")
struct ReplyTests {
    private static func fixture(_ limits: Limits = Limits()) -> ConversationFixture {
        var fixture = ConversationFixture(of: [ann, bob], limits)
        _ = fixture.post("root", by: ann)
        _ = fixture.post("other", by: bob)
        fixture.clearStoreRequests()
        return fixture
    }

    private static func reply(_ message: Message) -> Reply? { message.body.annotations?.reply }

    @Test("has the root of the message that it answers as its thread")
    func threads() {
        var fixture = Self.fixture()
        _ = fixture.reply("a", to: 1, by: bob)
        _ = fixture.reply("b", to: 3, by: ann)
        _ = fixture.reply("c", to: 2, by: ann)
        #expect(
            fixture.store.messages.map(Self.reply) == [
                nil, nil, Reply(to: 1, thread: 1), Reply(to: 3, thread: 1), Reply(to: 2, thread: 2),
            ])
        // The owner has numbered all of these messages, so it reads none of them.
        #expect(!fixture.storeRequests.contains { $0.hasPrefix("look up") })
    }

    @Test("to a message of an earlier owner waits for a look-up, and later sends wait behind it")
    func lookedUp() {
        var fixture = Self.fixture()
        _ = fixture.reply("a", to: 1, by: bob)
        _ = fixture.run { $0.close(at: $1, into: &$2) }
        _ = fixture.post("loads again", by: ann)
        fixture.isStoreSlow = true
        #expect(fixture.reply("b", to: 3, by: ann, request: 1) == [])
        #expect(fixture.post("next", by: ann, request: 2) == [])
        var output: [String] = []
        for _ in 0..<4 { output += fixture.answerStore() }
        #expect(output == ["event: posted 5 b, answers 1", "event: posted 6 next, answers 2"])
        #expect(Self.reply(fixture.store.messages[4]) == Reply(to: 3, thread: 1))
        // Once looked up, the thread is known.
        fixture.isStoreSlow = false
        fixture.clearStoreRequests()
        _ = fixture.reply("c", to: 3, by: bob)
        #expect(!fixture.storeRequests.contains { $0.hasPrefix("look up") })
    }

    @Test("to a message of an earlier owner is looked up together with other replies' targets")
    func lookedUpTogether() {
        var fixture = Self.fixture()
        _ = fixture.run { $0.close(at: $1, into: &$2) }
        _ = fixture.post("loads again", by: ann)
        fixture.isStoreSlow = true
        fixture.clearStoreRequests()
        _ = fixture.reply("a", to: 1, by: ann, request: 1)
        _ = fixture.reply("b", to: 2, by: ann, request: 2)
        _ = fixture.reply("c", to: 1, by: ann, request: 3)
        #expect(fixture.storeRequests.count == 2)
        // The second target's answer comes first, and the first send still is the first.
        #expect(fixture.answerStoreNewest() == [])
        var output: [String] = []
        for _ in 0..<4 { output += fixture.answerStore() }
        #expect(
            output == [
                "event: posted 4 a, answers 1", "event: posted 5 b, answers 2",
                "event: posted 6 c, answers 3",
            ])
    }

    @Test(
        "is refused at once while the store accepts no writes, so that no later send overtakes it")
    func writesUnavailable() {
        var fixture = Self.fixture()
        _ = fixture.run { $0.close(at: $1, into: &$2) }
        _ = fixture.post("loads again", by: ann)
        fixture.isStoreSlow = true
        fixture.conversation.areWritesUnavailable = true
        #expect(
            fixture.reply("a", to: 1, by: ann, request: 1) == [
                "answer 1: \(ChatCoreTests.refused(.unavailable).dropFirst("answer: ".count))"
            ])
    }

    @Test("to a message that does not exist or is trimmed is refused, and later sends are stored")
    func refused() {
        var limits = Limits()
        limits.historyLimit = 2
        var fixture = Self.fixture(limits)
        _ = fixture.post("third", by: ann)
        for target in [-1, 0, 1, 9] {
            #expect(
                fixture.reply("no", to: target, by: ann)
                    == [ChatCoreTests.refused(.noSuchReplyTarget(target))])
        }
        #expect(fixture.reply("yes", to: 2, by: ann) == ["event: posted 4 yes"])
    }

    @Test("to the root of a thread that has left the history is allowed while replies are retained")
    func goneRoot() {
        var limits = Limits()
        limits.historyLimit = 2
        var fixture = Self.fixture(limits)
        _ = fixture.reply("a", to: 1, by: bob)
        _ = fixture.post("fourth", by: ann)
        fixture.store.oldest = 3
        #expect(fixture.reply("b", to: 1, by: ann) == ["event: posted 5 b"])
        #expect(Self.reply(fixture.store.messages[4]) == Reply(to: 1, thread: 1))
        #expect(
            fixture.reply("no", to: 2, by: ann)
                == [ChatCoreTests.refused(.noSuchReplyTarget(2))])
        // Another owner finds the thread in the store.
        _ = fixture.run { $0.close(at: $1, into: &$2) }
        fixture.store.oldest = 4
        #expect(fixture.reply("c", to: 1, by: bob) == ["event: posted 6 c"])
        // A reply that is gone is no root.
        #expect(
            fixture.reply("no", to: 3, by: ann)
                == [ChatCoreTests.refused(.noSuchReplyTarget(3))])
    }

    @Test("to a pinned message that has left the history is allowed")
    func pinnedTarget() {
        var limits = Limits()
        limits.historyLimit = 2
        var fixture = Self.fixture(limits)
        _ = fixture.reply("a", to: 1, by: bob)
        _ = fixture.pin(3, by: ann)
        for _ in 0..<3 { _ = fixture.post("more", by: ann) }
        fixture.store.oldest = 5
        #expect(fixture.reply("b", to: 3, by: ann) == ["event: posted 7 b"])
        #expect(Self.reply(fixture.store.messages[6]) == Reply(to: 3, thread: 1))
    }

    @Test("to a deleted message is allowed, because the thread goes on")
    func deletedTarget() {
        var fixture = Self.fixture()
        _ = fixture.reply("a", to: 1, by: bob)
        _ = fixture.delete(1, by: ann)
        #expect(fixture.reply("b", to: 1, by: ann) == ["event: posted 4 b"])
        _ = fixture.delete(3, by: bob)
        #expect(Self.reply(fixture.store.messages[2]) == Reply(to: 1, thread: 1))
        #expect(fixture.reply("c", to: 3, by: ann) == ["event: posted 5 c"])
        #expect(Self.reply(fixture.store.messages[4]) == Reply(to: 3, thread: 1))
    }

    @Test("whose look-up fails is refused temporarily with all that wait")
    func lookupFails() {
        var fixture = Self.fixture()
        _ = fixture.run { $0.close(at: $1, into: &$2) }
        _ = fixture.post("loads again", by: ann)
        fixture.isStoreSlow = true
        _ = fixture.reply("a", to: 1, by: bob, request: 1)
        _ = fixture.post("next", by: ann, request: 2)
        let output = fixture.failStore()
        #expect(output.filter { $0.contains("refused") }.count == 2)
    }
}

@Suite("A mention")
struct MentionTests {
    @Test("names members, and lists the users that are none")
    func users() {
        var fixture = ConversationFixture(of: [ann, bob])
        let request = Mentions(users: [bob.id, dan.id, bob.id])
        #expect(
            fixture.post("hi", by: ann, mentioning: request) == [
                "event: posted 1 hi", "mention bob in 1",
            ])
        #expect(
            fixture.store.messages[0].body.annotations?.mentions
                == Mentions(users: [bob.id], nonMembers: [dan.id]))
        #expect(fixture.store.messages[0].mentions(bob.id))
        #expect(!fixture.store.messages[0].mentions(dan.id))
    }

    @Test("of all is for the creator and admins above 20 members")
    func everyone() {
        var fixture = ConversationFixture(of: [ann, bob])
        let all = Mentions(includesEveryone: true)
        #expect(
            fixture.post("hi", by: bob, mentioning: all) == [
                "event: posted 1 hi", "mention ann in 1",
            ])
        for person in makePeople(19) { _ = fixture.joinAndSubscribe(person) }
        #expect(
            fixture.post("hi", by: bob, mentioning: all)
                == [refused(.mentionOfAllNotAllowed(limit: 20))])
        #expect(fixture.post("hi", by: ann, mentioning: all).first == "event: posted 2 hi")
        let byAdmin = Mentions(includesEveryone: true, isByAdmin: true)
        #expect(fixture.post("hi", by: bob, mentioning: byAdmin).first == "event: posted 3 hi")
        #expect(fixture.store.messages[1].mentions(bob.id))
        // An author does not mention itself.
        #expect(!fixture.store.messages[1].mentions(ann.id))
    }
}
