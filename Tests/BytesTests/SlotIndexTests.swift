import Bytes
import SeededRandom
import Testing

@Suite("A slot index")
struct SlotIndexTests {
    /// Hash functions with many collisions, with wrap-around at the end of the table, or with
    /// differences only in the upper half.
    static let hashFunctions: [@Sendable (Int) -> Int] = [
        { $0 &* 0x9E37_79B9 }, { $0 % 3 }, { 0xFFFF_FFF0 + $0 % 20 }, { $0 << 32 | 7 }, { -$0 },
    ]

    @Test(
        "finds the same slots as a dictionary after random inserts and removals",
        arguments: 0..<20 as Range<Int>)
    func oracle(seed: Int) {
        var random = SeededGenerator(seed: UInt64(seed))
        let hash = Self.hashFunctions[seed % Self.hashFunctions.count]
        var index = SlotIndex()
        var keys: [UInt32: Int] = [:]
        for round in 0..<1500 {
            let slot = UInt32(random.number(0...400))
            if keys[slot] != nil {
                index.remove(slot, hash: hash(keys[slot]!))
                keys[slot] = nil
            } else {
                let key = random.number(0...5000)
                keys[slot] = key
                index.insert(slot, hash: hash(key))
            }
            #expect(index.count == keys.count)
            if round % 50 == 0 { self.compare(index, keys, hash) }
        }
        for (slot, key) in keys { index.remove(slot, hash: hash(key)) }
        #expect(index.count == 0)
        self.compare(index, [:], hash)
    }

    private func compare(_ index: SlotIndex, _ keys: [UInt32: Int], _ hash: (Int) -> Int) {
        let wrong = (UInt32(0)...400).filter { slot in
            let found = keys[slot].flatMap { key in index.slot(hash: hash(key)) { $0 == slot } }
            return found != keys[slot].map { _ in slot }
        }
        #expect(wrong == [])
    }

    @Test("checks only slots with the same hash")
    func checksMatchingHashesOnly() {
        var index = SlotIndex()
        for slot in 0..<8 as Range<UInt32> { index.insert(slot, hash: Int(slot) * 16) }
        var checked: [UInt32] = []
        let found = index.slot(hash: 48) { slot in
            checked.append(slot)
            return true
        }
        #expect(found == 3)
        #expect(checked == [3])
    }

    @Test("finds the wanted slot among two with the same hash")
    func collision() {
        var index = SlotIndex()
        index.insert(4, hash: 99)
        index.insert(9, hash: 99)
        #expect(index.slot(hash: 99) { $0 == 9 } == 9)
        #expect(index.slot(hash: 99) { $0 == 4 } == 4)
        #expect(index.slot(hash: 99) { $0 == 5 } == nil)
        index.remove(4, hash: 99)
        #expect(index.slot(hash: 99) { _ in true } == 9)
    }

    @Test("finds nothing while it is empty, and the remaining slots after many removals")
    func afterManyRemovals() {
        var index = SlotIndex()
        #expect(index.slot(hash: 1) { _ in true } == nil)
        for slot in 0..<5000 as Range<UInt32> { index.insert(slot, hash: Int(slot) &* 31) }
        for slot in 10..<5000 as Range<UInt32> { index.remove(slot, hash: Int(slot) &* 31) }
        for slot in 0..<10 as Range<UInt32> {
            #expect(index.slot(hash: Int(slot) &* 31) { $0 == slot } == slot)
        }
    }
}
