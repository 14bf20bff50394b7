import ChatModel
import Testing

@testable import ChatEngine

@Suite("A feed's watermarks")
struct WatermarksTests {
    private func watermarks(at revision: Revision, head: SequenceNumber) -> Watermarks {
        var watermarks = Watermarks()
        watermarks.open(at: revision, head: head)
        return watermarks
    }

    @Test("start at the answered join: everything up to it counts as delivered")
    func opening() {
        let watermarks = self.watermarks(at: 9, head: 4)
        #expect(watermarks.revision == 9)
        #expect(watermarks.deliveredThrough == 4)
        #expect(watermarks.amendedThrough == 9)
        #expect(watermarks.repairedThrough == 0)
        #expect(watermarks.unloggedBefore == 5)
        #expect([8, 9, 10, 11].map { watermarks.isNext($0) } == [false, false, true, false])
    }

    @Test("know the first message of the current batch, and forget it with the next batch")
    func batches() {
        var watermarks = self.watermarks(at: 4, head: 4)
        #expect(watermarks.deliveredThrough(before: 7) == 4)
        for sequence in [5, 6] {
            watermarks.deliveredThrough = sequence
            watermarks.recordQueued(sequence, in: 7)
        }
        #expect(watermarks.deliveredThrough(before: 7) == 4)
        #expect(watermarks.deliveredThrough(before: 8) == 6)
        watermarks.recordQueued(7, in: 8)
        #expect(watermarks.deliveredThrough(before: 8) == 6)
    }

    @Test("let a repair deliver edits ahead of the other changes")
    func repair() {
        var watermarks = self.watermarks(at: 5, head: 5)
        watermarks.startRepair()
        #expect(watermarks.repairedThrough == 5)
        watermarks.recordRepaired(through: 9)
        #expect(watermarks.repairedThrough == 9)
        #expect(watermarks.amendedThrough == 9)
        #expect(watermarks.revision == 5)
        watermarks.endRepair(at: 8)
        #expect(watermarks.revision == 8)
    }

    @Test("never move back in a repair")
    func monotonic() {
        var watermarks = self.watermarks(at: 5, head: 5)
        watermarks.recordRepaired(through: 9)
        let before = watermarks
        watermarks.startRepair()
        watermarks.recordRepaired(through: 3)
        watermarks.endRepair(at: 4)
        #expect(watermarks == before)
    }

    @Test("all roll back to the common history, and edits after it count as undelivered")
    func rollBack() {
        var watermarks = self.watermarks(at: 20, head: 10)
        watermarks.startRepair()
        watermarks.recordLogged(3)
        watermarks.rollBack(to: 12, through: 6)
        #expect(watermarks.revision == 12)
        #expect(watermarks.deliveredThrough == 6)
        #expect(watermarks.repairedThrough == 12)
        #expect(watermarks.amendedThrough == 12)
        #expect(watermarks.unloggedBefore == 7)
        // A point ahead of the feed changes nothing but the log.
        watermarks.rollBack(to: 30, through: 30)
        #expect(watermarks.revision == 12)
        #expect(watermarks.deliveredThrough == 6)
    }

    @Test("extend the logged messages downwards only")
    func log() {
        var watermarks = Watermarks()
        #expect(watermarks.unloggedBefore == 1)
        watermarks.open(at: 8, head: 8)
        watermarks.recordLogged(6)
        watermarks.recordLogged(7)
        #expect(watermarks.unloggedBefore == 6)
    }

    @Test("that every message uses are within the prefetched bytes of a feed")
    func hotFields() {
        let used = [\Watermarks.revision, \.deliveredThrough]
        for field in used {
            #expect(MemoryLayout<Watermarks>.offset(of: field)! < Watermarks.hotBytes)
        }
        #expect(Feed.hotBytes < MemoryLayout<Feed>.size)
        #expect(MemoryLayout<Feed.State>.size <= MemoryLayout<Int>.size)
    }
}
