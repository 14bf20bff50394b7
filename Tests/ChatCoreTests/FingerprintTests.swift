import Bytes
import ChatModel
import Testing

@testable import ChatCore

@Suite("A send whose fingerprint is another message's")
struct FingerprintTests {
    /// Two ids of the first member's that are remembered alike: the seed of the fingerprints is the process's.
    private static let lookalikes: (String, String) = {
        var seen: [UInt32: Int] = [:]
        for number in 0..<1_000_000 {
            let client = ClientID(stored: ByteString("\(number)"))
            if let other = seen.updateValue(number, forKey: RecentMessages.fingerprint(author: 0, client: client)) {
                return ("\(other)", "\(number)")
            }
        }
        preconditionFailure("a million fingerprints are all different")
    }()

    @Test("becomes a message of its own, and the other's words are not its answer")
    func ownMessage() {
        let (one, other) = Self.lookalikes
        var stage = Stage(of: [ann])
        #expect(stage.say("mine", by: ann, id: one) == ["event: posted 1 mine"])
        #expect(stage.say("another", by: ann, id: other) == ["event: posted 2 another"])
        #expect(stage.say("another", by: ann, id: other) == ["answer: posted 2 another"])
    }

    @Test("becomes one while the other is on its way, and only one however often it is repeated")
    func onItsWay() {
        let (one, other) = Self.lookalikes
        var stage = Stage(of: [ann])
        stage.isStoreSlow = true
        _ = stage.say("mine", by: ann, id: one, request: 1)
        _ = stage.say("another", by: ann, id: other, request: 2)
        _ = stage.say("another", by: ann, id: other, request: 3)
        #expect(stage.answerStore() == ["event: posted 1 mine, answers 1"])
        #expect(stage.answerStore() == ["event: posted 2 another, answers 2", "answer 3: posted 2 another"])
    }

    @Test("becomes one message, though two sends of it look the other up at once")
    func lookedUpTwice() {
        let (one, other) = Self.lookalikes
        var stage = Stage(of: [ann])
        _ = stage.say("mine", by: ann, id: one)
        stage.isStoreSlow = true
        _ = stage.say("another", by: ann, id: other, request: 1)
        _ = stage.say("another", by: ann, id: other, request: 2)
        #expect(stage.answerStore() == [])
        #expect(stage.answerStore() == ["event: posted 2 another, answers 1", "answer 2: posted 2 another"])
    }
}
