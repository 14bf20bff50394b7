import Bytes
import ChatModel
import Testing

@testable import ChatCore

/// A fingerprint of 64 bits hardly ever deceives. The store can: what it has under the number is not what the owner wrote there.
@Suite("A send that is known as the one of another message")
struct FingerprintCollisionTests {
    /// Ann has said something under the id "b", of which the store says that it was made under "a".
    private static func fixture() -> ConversationFixture {
        var stage = ConversationFixture(of: [ann])
        _ = stage.post("mine", by: ann, id: "b")
        stage.store.messages[0].body = MessageBody(
            author: ann, clientMessageID: ClientMessageID(stored: "a"), content: "mine")
        return stage
    }

    @Test("becomes a message of its own, and the other's words are not its answer")
    func ownMessage() {
        var stage = Self.fixture()
        #expect(stage.post("another", by: ann, id: "b") == ["event: posted 2 another"])
        #expect(stage.post("another", by: ann, id: "b") == ["answer: posted 2 another"])
    }

    @Test("becomes one message, though two sends of it look the other up at once")
    func lookedUpTwice() {
        var stage = Self.fixture()
        stage.isStoreSlow = true
        _ = stage.post("another", by: ann, id: "b", request: 1)
        _ = stage.post("another", by: ann, id: "b", request: 2)
        #expect(stage.answerStore() == [])
        #expect(
            stage.answerStore() == [
                "event: posted 2 another, answers 1", "answer 2: posted 2 another",
            ])
    }

    @Test("is none of a hundred thousand others: what a sender says keeps its order")
    func fingerprints() {
        let prints = Set(
            (0..<100_000).map {
                RecentMessages.fingerprint(
                    author: 0, clientMessageID: ClientMessageID(stored: ByteString("\($0)")))
            })
        #expect(prints.count == 100_000)
    }
}
