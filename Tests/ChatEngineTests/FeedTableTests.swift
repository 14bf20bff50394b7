import ChatModel
import ChatSimulation
import SeededRandom
import Testing

@testable import ChatEngine

@Suite("A feed table")
struct FeedTableTests {
    private func open(_ number: Int, in table: inout FeedTable) -> FeedID {
        let slot = table.open(Feed(key: .numbered(number), owner: .far))
        return table.id(at: slot)
    }

    @Test(
        "behaves like a dictionary, in any order of openings and closings",
        arguments: 0..<8 as Range<UInt64>)
    func oracle(seed: UInt64) {
        var random = SeededGenerator(seed: seed)
        var table = FeedTable()
        var ids: [Int: FeedID] = [:]
        var closed: [FeedID] = []
        for _ in 0..<600 {
            let number = random.number(0...60)
            if let id = ids.removeValue(forKey: number) {
                #expect(table[id.slot].key == .numbered(number))
                table.close(id.slot)
                closed.append(id)
            } else {
                #expect(table.slot(of: .numbered(number)) == nil)
                ids[number] = self.open(number, in: &table)
            }
            #expect(table.count == ids.count)
            #expect(Set(table.openSlots) == Set(ids.values.map(\.slot)))
        }
        for (number, id) in ids {
            #expect(table.slot(of: .numbered(number)) == id.slot)
            #expect(table.isCurrent(id))
        }
        #expect(closed.allSatisfy { !table.isCurrent($0) })
    }

    @Test("distinguishes a feed from the previous one in its slot")
    func reuse() {
        var table = FeedTable()
        let first = self.open(1, in: &table)
        table.close(first.slot)
        #expect(!table.isCurrent(first))
        let second = self.open(2, in: &table)

        #expect(second.slot == first.slot)
        #expect(second != first)
        #expect(!table.isCurrent(first))
        #expect(table.isCurrent(second))
    }

    @Test("uses a slot hint only if the feed is still there")
    func slotHint() {
        var table = FeedTable()
        let one = self.open(1, in: &table).slot
        let two = self.open(2, in: &table).slot
        #expect(table.slot(of: .numbered(1), near: one) == one)
        #expect(table.slot(of: .numbered(1), near: two) == one)
        #expect(table.slot(of: .numbered(1), near: 77) == one)
        #expect(table.slot(of: .numbered(3), near: one) == nil)
        table.close(one)
        #expect(table.slot(of: .numbered(1), near: one) == nil)
    }

    @Test("treats an unknown slot as not current")
    func unknownSlot() {
        #expect(!FeedTable().isCurrent(FeedID(slot: 5, generation: 1)))
    }
}
