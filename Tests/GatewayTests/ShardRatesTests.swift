import Bytes
import ChatModel
import Testing

@testable import ChatEngine
@testable import Gateway

@Suite("A loop's rates by shard")
struct ShardRatesTests {
    private static func write(_ shard: Int, _ change: Write.Change) -> Write {
        let key = ConversationKey(tenant: "default", id: "lobby")
        return Write(conversation: key, shard: shard, epoch: 1, revision: 1, change: change)
    }

    private static func message(_ number: Int) -> Write.Change {
        let author = Person(id: UserID(tokenSubject: "ann"), name: "Ann")
        let body = MessageBody(author: author, clientMessageID: nil, content: "hello")
        return .message(
            Message(
                sequence: number, revision: number, sentAt: Timestamp(milliseconds: 0), body: body))
    }

    private static func holding(_ shard: Int) -> ChatLoop.OwnedShard {
        .init(shard: shard, epoch: 1, conversationCount: 1)
    }

    @Test("contain the time of each claim, and the messages of the last second")
    func rates() {
        var rates = ShardRates()
        let owner = LoopID(incarnation: 1, loop: 0)
        rates.rollOver(at: 10_000)
        rates.recordRequest(.claim(shard: 7, owner: owner), at: Timestamp(milliseconds: 5))
        let end = Write.Change.end(at: Timestamp(milliseconds: 0))
        let writes = [
            Self.write(7, Self.message(1)), Self.write(4095, Self.message(1)),
            Self.write(7, Self.message(2)), Self.write(7, end),
        ]
        rates.recordRequest(
            .write(WriteBatch(owner: owner, writes: writes)), at: Timestamp(milliseconds: 6))
        #expect(rates.report(Self.holding(7)).messagesPerSecond == 0, "the second is not over")
        rates.rollOver(at: 10_500)
        #expect(rates.report(Self.holding(7)).messagesPerSecond == 4)
        #expect(rates.report(Self.holding(4095)).messagesPerSecond == 2)
        #expect(rates.report(Self.holding(7)).claimedAt == Timestamp(milliseconds: 5))
        #expect(rates.report(Self.holding(4095)).claimedAt == nil)
        #expect(
            rates.report(.init(shard: 7, epoch: nil, conversationCount: 1)).claimedAt == nil,
            "it was given up since")
        rates.rollOver(at: 11_500)
        #expect(rates.report(Self.holding(7)).messagesPerSecond == 0)
    }
}
