import Bytes
import ChatModel
import RedisStore
import TestTraits
import Testing

@Suite("The layout in Redis", .ownThread)
struct LayoutReaderTests {
    @Test("has the keys of the store")
    func names() {
        let reader = LayoutReader(of: "c2")
        let key = ConversationKey(tenant: "t", id: "a b")
        #expect(reader.leaseKey(of: 7) == "c2:{s7}:lease")
        #expect(reader.conversationKey(key) == ByteString("c2:{s\(Shard.of(key))}:conv:t:a%20b"))
    }

    @Test("has values that are parsed only if they are valid")
    func values() {
        let lease = LayoutReader.parseLease("12 abc.1")
        #expect(lease?.epoch == 12 && lease?.owner == "abc.1")
        for text in ["", "12", "x abc.1", "0 abc.1", "1 abc.1 more"] {
            #expect(LayoutReader.parseLease(text) == nil, "\(text)")
        }
        let head = LayoutReader.parseHead("1 40 12 1700000000000")
        #expect(head?.revision == 40 && head?.head == 12)
        for text in ["", "2 40 12 0", "1 40 12", "1 x 12 0", "1 40 12 0 1"] {
            #expect(LayoutReader.parseHead(text) == nil, "\(text)")
        }
    }
}
