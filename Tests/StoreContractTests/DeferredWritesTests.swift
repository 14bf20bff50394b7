import Bytes
import ChatModel
import TestTraits
import Testing

@testable import RedisStore

@Suite("Deferred writes", .ownThread)
struct DeferredWritesTests {
    private static func part(
        _ conversation: String, _ positions: [Int], entries: Int
    ) -> DeferredWrites.DeferredPart {
        DeferredWrites.DeferredPart(
            operation: StoreOperationID(rawValue: 1),
            conversation: ConversationKey(tenant: "t", id: .init(conversation)),
            positions: positions, pendingEntryCount: entries)
    }

    private static func key(_ conversation: String) -> ConversationKey {
        ConversationKey(tenant: "t", id: .init(conversation))
    }

    @Test("wait until all their index entries exist, and then leave once")
    func entries() {
        var writes = DeferredWrites()
        let id = writes.add(Self.part("a", [0, 2], entries: 2))
        #expect(writes.contains(Self.key("a")) && !writes.contains(Self.key("b")))
        #expect(writes.removeNext(of: Self.key("a")) == nil)
        writes.completeEntry(of: id) { _ in }
        #expect(writes.removeNext(of: Self.key("a")) == nil)
        writes.completeEntry(of: id) { _ in }
        #expect(writes.removeNext(of: Self.key("a"))?.positions == [0, 2])
        #expect(writes.removeNext(of: Self.key("a")) == nil)
        #expect(!writes.contains(Self.key("a")) && writes.isEmpty)
        // A late reply changes nothing.
        writes.completeEntry(of: id) { _ in }
        #expect(writes[id] == nil && writes.isEmpty)
    }

    @Test("keep their order within a conversation, and do not wait for another one")
    func order() {
        var writes = DeferredWrites()
        let first = writes.add(Self.part("a", [0], entries: 1))
        _ = writes.add(Self.part("a", [1], entries: 0))
        _ = writes.add(Self.part("b", [2], entries: 0))
        #expect(writes.removeNext(of: Self.key("a")) == nil, "the second waits for the first")
        #expect(writes.removeNext(of: Self.key("b"))?.positions == [2])
        writes.completeEntry(of: first) { _ in }
        #expect(writes.removeNext(of: Self.key("a"))?.positions == [0])
        #expect(writes.contains(Self.key("a")))
        #expect(writes.removeNext(of: Self.key("a"))?.positions == [1])
        #expect(writes.isEmpty)
    }

    @Test(
        "may be sent up to the first one whose index entry cannot be written",
        arguments: [
            ([], [3, 5, 8]), ([8], [3, 5]), ([5], [3]), ([3], []), ([5, 8], [3]), ([4], [3, 5, 8]),
        ] as [(Set<Int>, [Int])])
    func damagedEntries(damaged: Set<Int>, writable: [Int]) {
        var writes = DeferredWrites()
        let id = writes.add(Self.part("a", [3, 5, 8], entries: 1))
        writes.completeEntry(of: id) { $0.damaged = damaged }
        let part = writes.removeNext(of: Self.key("a"))
        #expect(part.map { Array($0.writable) } == writable)
    }
}
