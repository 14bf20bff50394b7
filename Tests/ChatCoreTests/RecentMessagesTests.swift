import Bytes
import ChatModel
import ChatSimulation
import SeededRandom
import Testing

@testable import ChatCore

@Suite("The memory of the newest messages")
struct RecentMessagesTests {
    /// The expected behavior, in the simplest form.
    private struct Oracle {
        struct Item {
            let sequence: SequenceNumber
            let author: UInt32
            let fingerprint: UInt64
            let at: Int64
            var isDelivered = false
            var isRead = false
        }

        private(set) var items: [Item] = []

        mutating func append(author: UInt32, fingerprint send: UInt64, at now: Int64) {
            self.items.append(
                Item(sequence: self.items.count + 1, author: author, fingerprint: send, at: now))
        }

        mutating func mark(_ sequence: SequenceNumber, _ mark: RecentMessages.Mark) {
            switch mark {
            case .delivered: self.items[sequence - 1].isDelivered = true
            case .read: self.items[sequence - 1].isRead = true
            }
        }

        func sequence(of send: UInt64, in range: Range<SequenceNumber>) -> SequenceNumber? {
            self.items[(range.lowerBound - 1)..<(range.upperBound - 1)].last {
                $0.fingerprint == send
            }?.sequence
        }
    }

    @Test(
        "behaves like a plain list", arguments: [1, 3, 16, 50, 400],
        [1, 2, 3] as [UInt64])
    func oracle(limit: Int, seed: UInt64) {
        var random = SeededGenerator(seed: seed)
        var oracle = Oracle()
        var recents = RecentMessages(next: 1, limit: limit)
        var now: Int64 = 1
        for round in 1...3000 {
            // Sometimes many in a moment, sometimes few in a long time.
            now +=
                random.happens(perMille: round % 1000 < 500 ? 5 : 900) ? random.number(0...500) : 0
            let author = UInt32(random.number(0...5))
            // Few different values, so that they repeat and share neighboring slots of the table.
            let send =
                random.happens(perMille: 200)
                ? 0 : UInt64(random.number(1...300)) << UInt64(random.number(0...3) * 16)
            recents.append(author: author, fingerprint: send, at: now)
            oracle.append(author: author, fingerprint: send, at: now)
            let range = recents.range
            #expect(range.upperBound == round + 1)
            if random.happens(perMille: 500) {
                let sequence = random.number(max(1, range.lowerBound - 3)...round)
                let mark: RecentMessages.Mark = random.happens(perMille: 500) ? .read : .delivered
                recents.mark(sequence, mark)
                if range.contains(sequence) { oracle.mark(sequence, mark) }
            }
            let wanted = UInt64(random.number(1...300)) << UInt64(random.number(0...3) * 16)
            #expect(recents.sequence(of: wanted) == oracle.sequence(of: wanted, in: range))
            let sequence = random.number(range.lowerBound...round)
            #expect(recents.author(of: sequence) == oracle.items[sequence - 1].author)
            #expect(
                recents.isMarked(sequence, .delivered) == oracle.items[sequence - 1].isDelivered)
            #expect(recents.isMarked(sequence, .read) == oracle.items[sequence - 1].isRead)
            // Forgotten messages were beyond the limit and ten seconds old.
            if range.lowerBound > 1 {
                #expect(range.count >= limit)
                #expect(now - oracle.items[range.lowerBound - 2].at >= 10_000)
            }
        }
    }

    @Test("keeps at most a quarter more than its limit when messages are rare")
    func bound() {
        var recents = RecentMessages(next: 1, limit: 100)
        for number in 1...5000 {
            recents.append(author: 0, fingerprint: UInt64(number), at: Int64(number) * 1000)
            #expect(recents.range.count <= 125 || number < 200)
        }
        #expect(recents.range.upperBound == 5001)
        #expect(recents.range.count >= 100)
    }

    @Test("keeps all messages of the last ten seconds, however many they are")
    func busy() {
        var recents = RecentMessages(next: 1, limit: 100)
        for number in 1...5000 {
            recents.append(
                author: 0, fingerprint: UInt64(number), at: 9999 * Int64(number) / 5000 + 1)
        }
        #expect(recents.sequence(of: 1) == 1)
        #expect(recents.range == 1..<5001)
    }

    @Test("keeps no more than its table has room for, however busy the last ten seconds are")
    func flood() {
        var recents = RecentMessages(next: 1, limit: 1000)
        for number in 1...100_000 { recents.append(author: 0, fingerprint: UInt64(number), at: 1) }
        #expect(recents.range.count <= 60_000)
        #expect(recents.range.upperBound == 100_001)
        #expect(recents.sequence(of: 1) == nil)
        #expect(recents.sequence(of: 100_000) == 100_000)
    }

    @Test("begins at any number")
    func next() {
        var recents = RecentMessages(next: 42, limit: 10)
        #expect(recents.range.isEmpty)
        recents.append(author: 3, fingerprint: 7, at: 0)
        #expect(recents.sequence(of: 7) == 42)
        #expect(recents.author(of: 42) == 3)
        #expect(recents.author(of: 41) == nil)
        #expect(recents.author(of: 43) == nil)
    }

    @Test("finds the newest of several messages with the same fingerprint", arguments: [2, 40])
    func newest(count: Int) {
        var recents = RecentMessages(next: 1, limit: 1000)
        for number in 1...count {
            recents.append(author: 0, fingerprint: number % 2 == 0 ? 5 : 6, at: 0)
        }
        #expect(recents.sequence(of: 5) == count)
    }

    @Test("never uses the fingerprint that stands for none")
    func fingerprints() throws {
        let client = try #require(ClientMessageID(given: "a"))
        #expect(RecentMessages.fingerprint(author: 1, clientMessageID: client) != 0)
        #expect(
            RecentMessages.fingerprint(author: 1, clientMessageID: client)
                == RecentMessages.fingerprint(author: 1, clientMessageID: client))
        #expect(
            RecentMessages.fingerprint(author: 1, clientMessageID: client)
                != RecentMessages.fingerprint(author: 2, clientMessageID: client))
    }
}
