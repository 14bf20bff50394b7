import Bytes
import SeededRandom
import Testing

@Suite("A slot list")
struct SlotListTests {
    @Test(
        "behaves like a dictionary, in any order of insertions and removals",
        arguments: 0..<12 as Range<UInt64>)
    func oracle(seed: UInt64) {
        var random = SeededGenerator(seed: seed)
        var list = SlotList<SlotID, String>(vacant: "")
        var values: [SlotID: String] = [:]
        var removed: [SlotID] = []
        let size = random.number(1...60)
        for number in 0..<600 {
            if values.count < size, random.happens(perMille: 600) {
                let key = list.insert("value \(number)")
                #expect(values[key] == nil && !removed.contains(key) && key.bits != 0)
                values[key] = "value \(number)"
            } else if let key = random.pick(values.keys.sorted { $0.slot < $1.slot }) {
                if random.happens(perMille: 300) {
                    list[key.slot].append("!")
                    values[key]?.append("!")
                } else {
                    #expect(list.remove(key.slot) == values.removeValue(forKey: key))
                    removed.append(key)
                }
            }
            #expect(list.count == values.count)
            #expect(list.slotCount <= size)
            #expect(list.occupiedSlots == values.keys.map(\.slot).sorted())
            for (key, value) in values {
                #expect(list.slot(of: key) == key.slot && list[key.slot] == value)
                #expect(list.key(of: key.slot) == key)
            }
            #expect(removed.allSatisfy { !list.contains($0) })
        }
    }

    @Test(
        "reuses the slot that was freed last, under another generation",
        arguments: [
            // Removed slots of five values, slots of the next values.
            ([], [5, 6]),
            ([2], [2, 5]),
            ([0, 4, 1], [1, 4, 0, 5]),
        ] as [([UInt32], [UInt32])])
    func reuse(removed: [UInt32], next: [UInt32]) {
        var list = SlotList<SlotID, Int>(vacant: 0)
        let first = (1...5).map { list.insert($0) }
        #expect(first.map(\.slot) == [0, 1, 2, 3, 4])
        #expect(first.allSatisfy { $0.generation == 1 })
        for slot in removed { list.remove(slot) }
        let second = next.map { _ in list.insert(9) }
        #expect(second.map(\.slot) == next)
        #expect(second.map(\.generation) == next.map { removed.contains($0) ? 2 : 1 })
        #expect(first.filter { !list.contains($0) }.map(\.slot) == removed.sorted())
    }

    @Test("has the vacant value in free slots, and releases the removed one")
    func vacant() {
        final class Value: Sendable {}
        var list = SlotList<SlotID, Value?>(vacant: nil)
        var value: Value? = Value()
        weak let released = value
        let key = list.insert(value)
        value = nil
        #expect(released != nil)
        list.remove(key.slot)
        #expect(released == nil)
        #expect(list[key.slot] == nil)
        #expect(!list.isOccupied(key.slot))
    }

    @Test("knows no key and no slot that it has not handed out")
    func unknown() {
        var list = SlotList<SlotID, Int>(vacant: 0)
        #expect(!list.contains(SlotID(slot: 5, generation: 1)))
        #expect(!list.isOccupied(0) && !list.isOccupied(.max))
        list.prefetch(77)
        let key = list.insert(1)
        for other in [SlotID(bits: 0), SlotID(slot: 0, generation: 2), SlotID(bits: .max)] {
            #expect(!list.contains(other))
        }
        #expect(SlotID(bits: key.bits) == key)
    }

    @Test("keeps a value whose key was invalidated, and its slot, until the slot is freed")
    func invalidatedKey() {
        var list = SlotList<SlotID, String>(vacant: "")
        let key = list.insert("retired")
        list.invalidateKey(of: key.slot)
        #expect(!list.contains(key))
        #expect(list.isOccupied(key.slot) && list[key.slot] == "retired")
        #expect(list.insert("other").slot == 1)
        #expect(list.free(key.slot) == "retired")
        #expect(list.insert("next") == SlotID(slot: key.slot, generation: key.generation + 1))
        #expect(!list.contains(key))
    }

    @Test(
        "counts the generations of a slot in 31 bits, without 0",
        arguments: [(1, 2), (77, 78), (0x7FFF_FFFE, 0x7FFF_FFFF), (0x7FFF_FFFF, 1)]
            as [(UInt32, UInt32)])
    func generations(last: UInt32, next: UInt32) {
        #expect(SlotID.generation(after: last) == next)
    }

    @Test("is a value: a copy keeps its own slots")
    func copy() {
        var list = SlotList<SlotID, Int>(vacant: 0)
        let key = list.insert(1)
        let copy = list
        list[key.slot] = 2
        list.remove(key.slot)
        #expect(copy.contains(key) && copy[key.slot] == 1 && copy.count == 1)
    }
}
