import Bytes
import ChatModel
import Testing

@Suite("A shard")
struct ShardTests {
    /// Computed independently of this code; stores identify conversations by these numbers.
    static let known: [(tenant: ByteString, id: ByteString, shard: Int)] = [
        ("default", "general", 3142), ("default", "talk-1", 1436), ("default", "talk-2", 1564),
        ("acme", "general", 1837), ("", "", 1061),
        ("default", "été", 2909),
    ]

    @Test(
        "of a conversation is the same on every node and in every version", arguments: Self.known)
    func isFixed(tenant: ByteString, id: ByteString, shard: Int) {
        #expect(Shard.of(ConversationKey(tenant: tenant, id: id)) == shard)
    }

    @Test("depends on where the tenant ends and the id begins")
    func keepsTextsApart() {
        #expect(Shard.of(ConversationKey(tenant: "a", id: "bc")) == 2966)
        #expect(Shard.of(ConversationKey(tenant: "ab", id: "c")) == 537)
    }

    @Test("gets its share of conversations whose names differ only in the last byte")
    func spread() {
        let perShard = 32
        var counts = Array(repeating: 0, count: Shard.count)
        for number in 0..<(Shard.count * perShard) { counts[Shard.of(.numbered(number))] += 1 }

        // Seven standard deviations on either side of a fair distribution.
        #expect(counts.min()! > 0)
        #expect(counts.max()! < perShard + 40)
        // Chi squared of a fair distribution is about the number of shards.
        let excess = counts.reduce(0.0) {
            $0 + Double(($1 - perShard) * ($1 - perShard)) / Double(perShard)
        }
        #expect(excess < Double(Shard.count) * 1.15)
    }
}
