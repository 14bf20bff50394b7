import ChatModel
import Testing

@testable import ChatCore

private let thumb = Emoji(given: "👍")!
private let heart = Emoji(given: "❤️")!

@Suite("A reaction")
struct ReactionTests {
    /// Ann, Bob and Cid, and a message by Ann.
    private static var fixture: ConversationFixture {
        var fixture = ConversationFixture(of: [ann, bob, cid])
        _ = fixture.post("hello", by: ann, id: "a")
        fixture.clearStoreRequests()
        return fixture
    }

    @Test("is stored with the message, and announced with the present state")
    func reacts() {
        var fixture = Self.fixture
        let before = fixture.store.messages[0]
        #expect(
            fixture.react(1, thumb, by: bob, request: 1) == [
                "event: reactions of 1: 👍bob, answers 1"
            ])
        let after = fixture.store.messages[0]
        #expect(after.revision == before.revision + 1)
        #expect(after.state == .asSent)
        #expect(after.body.content == "hello")
        _ = fixture.advance(by: .milliseconds(250))
        #expect(fixture.react(1, heart, by: ann) == ["event: reactions of 1: 👍bob ❤ann"])
        _ = fixture.advance(by: .milliseconds(250))
        #expect(fixture.react(1, thumb, isOn: false, by: bob) == ["event: reactions of 1: ❤ann"])
    }

    @Test("does not count as activity of the conversation")
    func activity() {
        var fixture = Self.fixture
        let before = fixture.store.record?.updatedAt
        _ = fixture.advance(by: .seconds(1))
        _ = fixture.react(1, thumb, by: bob)
        #expect(fixture.store.record?.updatedAt == before)
    }

    @Test("to one message is announced at most once per 250 ms, together with others")
    func batches() {
        var fixture = Self.fixture
        #expect(fixture.react(1, thumb, by: ann) == ["event: reactions of 1: 👍ann"])
        #expect(fixture.react(1, thumb, by: bob, request: 2) == [])
        #expect(fixture.react(1, heart, by: cid, request: 3) == [])
        _ = fixture.advance(by: .milliseconds(249))
        #expect(fixture.storeRequests.count == 2)
        #expect(
            fixture.advance(by: .milliseconds(1)) == [
                "event: reactions of 1: 👍ann,bob ❤cid, answers 2", "answer 3: asSent 1 hello",
            ])
        // A look-up and a write for each batch.
        #expect(fixture.storeRequests.count == 4)
    }

    @Test("of a hundred users in a second causes four events")
    func flood() {
        var fixture = ConversationFixture(of: [ann])
        _ = fixture.post("hello", by: ann)
        for person in makePeople(100) { _ = fixture.joinAndSubscribe(person) }
        var events = 0
        for person in makePeople(100) {
            events += fixture.react(1, thumb, by: person).count {
                $0.hasPrefix("event: reactions")
            }
            events += fixture.advance(by: .milliseconds(9)).count {
                $0.hasPrefix("event: reactions")
            }
        }
        #expect(events == 4)
        _ = fixture.advance(by: .milliseconds(250))
        #expect(fixture.store.messages[0].body.annotations?.reactions?.groups[0].users.count == 100)
    }

    @Test("that is done already is answered without a write")
    func repeated() {
        var fixture = Self.fixture
        _ = fixture.react(1, thumb, by: bob)
        _ = fixture.advance(by: .seconds(1))
        let revision = fixture.store.revision
        #expect(fixture.react(1, thumb, by: bob, request: 5) == ["answer 5: asSent 1 hello"])
        #expect(fixture.react(1, heart, isOn: false, by: bob, request: 6).count == 1)
        #expect(fixture.store.revision == revision)
    }

    @Test("is limited to 20 emoji of a user and 30 of a message, and joining is always possible")
    func limits() {
        var fixture = Self.fixture
        for number in 0..<20 {
            _ = fixture.react(1, emoji(number), by: ann)
            _ = fixture.advance(by: .milliseconds(250))
        }
        #expect(fixture.react(1, emoji(20), by: ann) == [refused(.tooManyReactions(limit: 20))])
        for number in 20..<30 {
            _ = fixture.react(1, emoji(number), by: bob)
            _ = fixture.advance(by: .milliseconds(250))
        }
        #expect(fixture.react(1, emoji(30), by: cid) == [refused(.tooManyEmoji(limit: 30))])
        #expect(fixture.react(1, emoji(29), by: ann).count == 1)
        #expect(
            fixture.store.messages[0].body.annotations?.reactions?.groups[29].users == [
                bob.id, ann.id,
            ])
    }

    @Test("needs a member, a retained message that is not deleted, and an active conversation")
    func refusals() {
        var fixture = Self.fixture
        #expect(fixture.react(1, thumb, by: dan) == [refused(.noSuchConversation)])
        #expect(fixture.react(2, thumb, by: ann) == [refused(.noSuchMessage(2))])
        #expect(fixture.react(0, thumb, by: ann) == [refused(.noSuchMessage(0))])
        _ = fixture.delete(1, by: ann)
        #expect(fixture.react(1, thumb, by: ann) == [refused(.messageDeleted(1))])
        _ = fixture.post("more", by: ann)
        _ = fixture.end(by: ann)
        #expect(fixture.react(2, thumb, by: ann) == [refused(.conversationEnded)])
    }

    @Test("does not undo an edit that is stored during its look-up")
    func edited() {
        var fixture = Self.fixture
        fixture.isStoreSlow = true
        _ = fixture.edit(1, to: "hallo", by: ann)
        _ = fixture.answerStore()
        // The look-up has the text before the edit.
        _ = fixture.react(1, thumb, by: bob)
        #expect(fixture.answerStore(1) == ["event: edited 1 hallo"])
        _ = fixture.answerStore()
        _ = fixture.answerStore()
        #expect(fixture.store.messages[0].body.content == "hallo")
        #expect(fixture.store.messages[0].state == .edited)
        #expect(fixture.store.messages[0].body.annotations?.reactions?.groups[0].users == [bob.id])
    }

    @Test("is removed with the message's text")
    func deletion() {
        var fixture = Self.fixture
        _ = fixture.react(1, thumb, by: bob)
        _ = fixture.delete(1, by: ann)
        #expect(fixture.store.messages[0].body.annotations == nil)
    }

    @Test("that the store does not store is refused temporarily, and a retry stores it once")
    func failure() {
        var fixture = Self.fixture
        #expect(
            fixture.failingStore { $0.react(1, thumb, by: bob, request: 1) } == [
                "answer 1: \(refused(.unavailable).dropFirst("answer: ".count))"
            ])
        #expect(
            fixture.react(1, thumb, by: bob, request: 1, retry: true) == [
                "event: reactions of 1: 👍bob, answers 1"
            ])
    }

    @Test("that is retried is not done again after the user has removed it", arguments: 0...2)
    func retriedAfterRemoval(storeAnswers: Int) {
        var fixture = Self.fixture
        fixture.isStoreSlow = true
        _ = fixture.react(1, thumb, by: bob, request: 7)
        var output: [String] = []
        for _ in 0..<storeAnswers { output += fixture.answerStore() }
        _ = fixture.react(1, thumb, isOn: false, by: bob, request: 8)
        output += fixture.react(1, thumb, by: bob, request: 7, retry: true)
        for _ in 0..<4 { output += fixture.answerStore() + fixture.advance(by: .milliseconds(250)) }
        for request in [7, 8] {
            #expect(
                output.contains {
                    $0.hasPrefix("answer \(request): ") || $0.hasSuffix("answers \(request)")
                })
        }
        #expect(fixture.store.messages[0].body.annotations?.reactions?.groups.isEmpty ?? true)
    }

    @Test("that waits is refused temporarily if the owner loses the conversation")
    func abandoned() {
        var fixture = Self.fixture
        _ = fixture.react(1, thumb, by: ann)
        _ = fixture.react(1, thumb, by: bob, request: 2)
        let output = fixture.run { $0.close(at: $1, into: &$2) }
        #expect(output.contains { $0.hasPrefix("answer 2: refused") })
        #expect(fixture.conversation.isIdle || !fixture.conversation.subscribers.isEmpty)
    }

    private func emoji(_ number: Int) -> Emoji { Emoji(given: ":e\(number):")! }
}
