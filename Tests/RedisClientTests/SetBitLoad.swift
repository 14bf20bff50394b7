import Bytes
import EventLoop
import RedisClient
import Synchronization
import TestKit

/// Sets bits, each in a command of its own with a WAIT behind it, some at a time, and knows which of them must be there for ever.
final class SetBitLoad: Sendable {
    private struct BitProgress {
        var next = 0
        var answered: Set<Int> = []
        var confirmed: Set<Int> = []
        /// How many bits nothing more is to come of.
        var finished = 0
    }

    private let progress = Mutex(BitProgress())
    /// Whether a WAIT goes with each.
    private let waits: Bool
    private let key: @Sendable (Int) -> String

    init(waits: Bool = true, key: @escaping @Sendable (Int) -> String = { _ in "done" }) {
        self.waits = waits
        self.key = key
    }

    /// Goes on until so many bits were set and confirmed in all.
    func run(on stage: RedisClientFixture, until count: Int) throws {
        try Deadline.wait(
            for:
                "\(count) confirmed commands; \(self.summary); heard last: \(stage.recorder.all.suffix(6))",
            within: .seconds(60)
        ) {
            // A server without replicas lets every WAIT wait.
            if self.progress.withLock({ $0.next - $0.finished < 64 }) {
                try self.send(8, to: stage)
            }
            self.record(stage.recorder.all)
            return self.progress.withLock { $0.confirmed.count >= count }
        }
    }

    private var summary: String {
        self.progress.withLock {
            "\($0.next) given, \($0.answered.count) answered, \($0.confirmed.count) confirmed"
        }
    }

    private func send(_ count: Int, to stage: RedisClientFixture) throws {
        let first = self.progress.withLock { tally in
            defer { tally.next += count }
            return tally.next
        }
        let (waits, key) = (self.waits, self.key)
        try stage.loop.run { [client = stage.client] in
            for bit in first..<first + count {
                let slot = RedisSlot(key: ByteString(key(bit)))
                try client.command(tag: Self.tag(bit), slot: slot) {
                    $0.append("SETBIT")
                    $0.append(text: key(bit))
                    $0.append(bit)
                    $0.append(1)
                }
                guard waits else { continue }
                try client.command(tag: Self.tag(bit) + 1, slot: slot) {
                    $0.append("WAIT")
                    $0.append(1)
                    $0.append(50)
                }
            }
        }
    }

    private static func tag(_ bit: Int) -> UInt64 { 1_000_000 + 2 * UInt64(bit) }

    private let processedCount = Mutex(0)

    private func record(_ heard: [RedisClientEvent]) {
        let new = self.processedCount.withLock { taken in
            defer { taken = heard.count }
            return heard[taken...]
        }
        self.progress.withLock { tally in
            for entry in new {
                if let tag = entry.tag, tag >= 1_000_000, tag % 2 == 1 || !self.waits {
                    tally.finished += 1
                }
                switch entry {
                case .replied(let tag, .integer(let number)) where tag >= 1_000_000:
                    let bit = Int(tag - 1_000_000) / 2
                    if tag % 2 == 0 {
                        tally.answered.insert(bit)
                        if !self.waits { tally.confirmed.insert(bit) }
                    } else if number >= 1, tally.answered.contains(bit) {
                        tally.confirmed.insert(bit)
                    }
                default: break
                }
            }
        }
    }

    /// Asks for everything that was confirmed, and fails when something is not there.
    func verifyConfirmed(on stage: RedisClientFixture) throws {
        let (confirmed, key) = (self.progress.withLock { $0.confirmed.sorted() }, self.key)
        let firstTag = UInt64(1) << 40
        let start = stage.recorder.all.count
        try stage.loop.run { [client = stage.client] in
            for bit in confirmed {
                try client.command(
                    tag: firstTag + UInt64(bit), slot: RedisSlot(key: ByteString(key(bit)))
                ) {
                    $0.append("GETBIT")
                    $0.append(text: key(bit))
                    $0.append(bit)
                }
            }
        }
        func answers() -> [RedisClientEvent] {
            stage.recorder.all[start...].filter { $0.tag.map { $0 >= firstTag } ?? false }
        }
        try Deadline.wait(for: "\(confirmed.count) bits, \(answers().count) came") {
            answers().count == confirmed.count
        }
        for answer in answers() {
            guard case .replied(_, .integer(1)) = answer else {
                throw TestFailure("a confirmed bit is lost: \(answer)")
            }
        }
    }
}
