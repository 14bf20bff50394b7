import Bytes
import EventLoop
import RedisClient
import Synchronization
import TestKit

/// Sets bits, each in a command of its own with a WAIT behind it, some at a time, and knows which of them must be there for ever.
final class Load: Sendable {
    private struct Tally {
        var next = 0
        var answered: Set<Int> = []
        var confirmed: Set<Int> = []
        var failed = 0
    }

    private let tally = Mutex(Tally())
    /// Whether a WAIT goes with each.
    private let waits: Bool
    private let key: @Sendable (Int) -> String

    init(waits: Bool = true, key: @escaping @Sendable (Int) -> String = { _ in "done" }) {
        self.waits = waits
        self.key = key
    }

    /// Goes on until so many bits were set and confirmed in all.
    func run(on stage: Stage, until count: Int) throws {
        try Deadline.wait(
            for: "\(count) confirmed commands; \(self.words); heard last: \(stage.listener.all.suffix(6))", within: .seconds(60)
        ) {
            try self.give(8, to: stage)
            self.take(stage.listener.all)
            return self.tally.withLock { $0.confirmed.count >= count }
        }
    }

    private var words: String {
        self.tally.withLock { "\($0.next) given, \($0.answered.count) answered, \($0.confirmed.count) confirmed" }
    }

    private func give(_ count: Int, to stage: Stage) throws {
        let first = self.tally.withLock { tally in
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
                    $0.append(500)
                }
            }
        }
    }

    private static func tag(_ bit: Int) -> UInt64 { 1_000_000 + 2 * UInt64(bit) }

    private let taken = Mutex(0)

    private func take(_ heard: [Heard]) {
        let new = self.taken.withLock { taken in
            defer { taken = heard.count }
            return heard[taken...]
        }
        self.tally.withLock { tally in
            for entry in new {
                switch entry {
                case .replied(let tag, .integer(let number)) where tag >= 1_000_000:
                    let bit = Int(tag - 1_000_000) / 2
                    if tag % 2 == 0 {
                        tally.answered.insert(bit)
                        if !self.waits { tally.confirmed.insert(bit) }
                    } else if number >= 1, tally.answered.contains(bit) {
                        tally.confirmed.insert(bit)
                    }
                case .failed: tally.failed += 1
                default: break
                }
            }
        }
    }

    var failed: Int { self.tally.withLock { $0.failed } }

    /// Whether everything that was confirmed is there.
    func check(_ isSet: (Int) throws -> Bool) throws {
        for bit in self.tally.withLock({ $0.confirmed.sorted() }) where try !isSet(bit) {
            throw TestFailure("bit \(bit) was confirmed and is lost")
        }
    }

    /// The same, asked all at once over a client.
    func check(on stage: Stage) throws {
        let confirmed = self.tally.withLock { $0.confirmed.sorted() }
        for bit in confirmed {
            let key = self.key(bit)
            guard try stage.answer(to: ["GETBIT", key, "\(bit)"], slot: RedisSlot(key: ByteString(key))) == .integer(1) else {
                throw TestFailure("bit \(bit) was confirmed and is lost")
            }
        }
    }
}
