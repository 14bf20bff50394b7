import Bytes
import ChatModel
import Testing

@testable import ChatCore

/// Fingerprints of 64 bits hardly ever collide. The test changes the stored message instead, so
/// that it is not the one that the owner wrote.
@Suite("A send whose fingerprint collides with that of another message")
struct FingerprintCollisionTests {
    /// Ann has sent a message with the id "b", and the store claims that its id is "a".
    private static func fixture() -> ConversationFixture {
        var fixture = ConversationFixture(of: [ann])
        _ = fixture.post("mine", by: ann, id: "b")
        fixture.store.messages[0].body = MessageBody(
            author: ann, clientMessageID: ClientMessageID(stored: "a"), content: "mine")
        return fixture
    }

    @Test("becomes a message of its own, and its answer is not the other message")
    func ownMessage() {
        var fixture = Self.fixture()
        #expect(fixture.post("another", by: ann, id: "b") == ["event: posted 2 another"])
        #expect(fixture.post("another", by: ann, id: "b") == ["answer: repeats 2 another"])
    }

    @Test("becomes one message, even if two repeats look up the other one at once")
    func lookedUpTwice() {
        var fixture = Self.fixture()
        fixture.isStoreSlow = true
        _ = fixture.post("another", by: ann, id: "b", request: 1)
        _ = fixture.post("another", by: ann, id: "b", request: 2)
        #expect(fixture.answerStore() == [])
        #expect(
            fixture.answerStore() == [
                "event: posted 2 another, answers 1", "answer 2: repeats 2 another",
            ])
    }

    @Test("does not occur among 100,000 others, so the sends of a client stay in order")
    func fingerprints() {
        let prints = Set(
            (0..<100_000).map {
                RecentMessages.fingerprint(
                    author: 0, clientMessageID: ClientMessageID(stored: ByteString("\($0)")))
            })
        #expect(prints.count == 100_000)
    }
}
