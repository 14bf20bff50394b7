import Bytes
import EventLoop
import RedisClient
import Synchronization
import TestKit

/// Sets bits with one command each, followed by a WAIT, and knows which bits must never be lost.
final class SetBitLoad: Sendable {
    private struct BitProgress {
        var next = 0
        var answered: Set<Int> = []
        var confirmed: Set<Int> = []
        /// The number of bits whose outcome is known.
        var finished = 0
    }

    private let progress = Mutex(BitProgress())
    /// Whether a WAIT follows each command.
    private let waits: Bool
    private let key: @Sendable (Int) -> String

    init(waits: Bool = true, key: @escaping @Sendable (Int) -> String = { _ in "done" }) {
        self.waits = waits
        self.key = key
    }

    /// Continues until this many bits have been set and confirmed in total.
    func run(on fixture: RedisClientFixture, until count: Int) throws {
        try Deadline.wait(
            for:
                """
                \(count) confirmed commands; \(self.summary); \
                last events: \(fixture.recorder.all.suffix(6))
                """,
            within: .seconds(60)
        ) {
            // A server without replicas lets every WAIT time out.
            if self.progress.withLock({ $0.next - $0.finished < 64 }) {
                try self.send(8, to: fixture)
            }
            self.record(fixture.recorder.all)
            return self.progress.withLock { $0.confirmed.count >= count }
        }
    }

    private var summary: String {
        self.progress.withLock {
            "\($0.next) sent, \($0.answered.count) answered, \($0.confirmed.count) confirmed"
        }
    }

    private func send(_ count: Int, to fixture: RedisClientFixture) throws {
        let first = self.progress.withLock { progress in
            defer { progress.next += count }
            return progress.next
        }
        let (waits, key) = (self.waits, self.key)
        try fixture.loop.run { [client = fixture.client] in
            for bit in first..<first + count {
                let slot = RedisSlot(key: ByteString(key(bit)))
                try client.command(tag: CommandTag(rawValue: Self.tag(bit)), slot: slot) {
                    $0.append("SETBIT")
                    $0.append(text: key(bit))
                    $0.append(bit)
                    $0.append(1)
                }
                guard waits else { continue }
                try client.command(tag: CommandTag(rawValue: Self.tag(bit) + 1), slot: slot) {
                    $0.append("WAIT")
                    $0.append(1)
                    $0.append(50)
                }
            }
        }
    }

    private static func tag(_ bit: Int) -> UInt64 { 1_000_000 + 2 * UInt64(bit) }

    private let processedCount = Mutex(0)

    private func record(_ events: [RedisClientEvent]) {
        let new = self.processedCount.withLock { processed in
            defer { processed = events.count }
            return events[processed...]
        }
        self.progress.withLock { progress in
            for event in new {
                if let tag = event.tag, tag >= 1_000_000, tag % 2 == 1 || !self.waits {
                    progress.finished += 1
                }
                switch event {
                case .replied(let tag, .integer(let number)) where tag >= 1_000_000:
                    let bit = Int(tag - 1_000_000) / 2
                    if tag % 2 == 0 {
                        progress.answered.insert(bit)
                        if !self.waits { progress.confirmed.insert(bit) }
                    } else if number >= 1, progress.answered.contains(bit) {
                        progress.confirmed.insert(bit)
                    }
                default: break
                }
            }
        }
    }

    /// Reads all confirmed bits; throws if one is not set.
    func verifyConfirmed(on fixture: RedisClientFixture) throws {
        let (confirmed, key) = (self.progress.withLock { $0.confirmed.sorted() }, self.key)
        let firstTag = UInt64(1) << 40
        let start = fixture.recorder.all.count
        try fixture.loop.run { [client = fixture.client] in
            for bit in confirmed {
                try client.command(
                    tag: CommandTag(rawValue: firstTag + UInt64(bit)),
                    slot: RedisSlot(key: ByteString(key(bit)))
                ) {
                    $0.append("GETBIT")
                    $0.append(text: key(bit))
                    $0.append(bit)
                }
            }
        }
        func answers() -> [RedisClientEvent] {
            fixture.recorder.all[start...].filter { $0.tag.map { $0 >= firstTag } ?? false }
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
