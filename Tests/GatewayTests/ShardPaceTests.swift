import Bytes
import ChatModel
import Testing

@testable import Cluster
@testable import Gateway

@Suite("What a loop measures of its shards")
struct ShardPaceTests {
    private static func write(_ shard: Int, _ change: Write.Change) -> Write {
        let key = ConversationKey(tenant: "default", id: "lobby")
        return Write(conversation: key, shard: shard, epoch: 1, revision: 1, change: change)
    }

    private static func message(_ number: Int) -> Write.Change {
        let author = Person(id: UserID(token: "ann"), name: "Ann")
        let body = MessageBody(author: author, clientID: nil, content: "hello")
        return .message(Message(sequence: number, revision: number, sentAt: Timestamp(milliseconds: 0), body: body))
    }

    private static func holding(_ shard: Int) -> ChatLoop.Holding { .init(shard: shard, epoch: 1, conversations: 1) }

    @Test("is since when it has each, and the messages of the last second")
    func rates() {
        var pace = ShardPace()
        let owner = OwnerID(incarnation: 1, loop: 0)
        pace.note(at: 10_000)
        pace.leaves(.claim(shard: 7, owner: owner), at: Timestamp(milliseconds: 5))
        let end = Write.Change.end(at: Timestamp(milliseconds: 0))
        let writes = [
            Self.write(7, Self.message(1)), Self.write(4095, Self.message(1)), Self.write(7, Self.message(2)), Self.write(7, end),
        ]
        pace.leaves(.write(WriteBatch(owner: owner, writes: writes)), at: Timestamp(milliseconds: 6))
        #expect(pace.report(Self.holding(7)).messages == 0, "the second is not over")
        pace.note(at: 10_500)
        #expect(pace.report(Self.holding(7)).messages == 4)
        #expect(pace.report(Self.holding(4095)).messages == 2)
        #expect(pace.report(Self.holding(7)).since == Timestamp(milliseconds: 5))
        #expect(pace.report(Self.holding(4095)).since == nil)
        #expect(pace.report(.init(shard: 7, epoch: nil, conversations: 1)).since == nil, "it was given up since")
        pace.note(at: 11_500)
        #expect(pace.report(Self.holding(7)).messages == 0)
    }
}
