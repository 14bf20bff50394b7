import Bytes
import EventLoop
import Testing

@testable import RedisClient

/// A session with a clock and a server that the test controls.
struct RedisSessionFixture {
    var session: RedisSession
    var now = MonotonicTime(nanoseconds: 1_000_000_000_000)
    /// All commands that came with `notExecuted`.
    var notExecuted: [QueuedCommand] = []

    init(
        _ url: String = "redis://a", scripts: [String] = [],
        for mode: RedisSession.SessionMode = .commands,
        with role: RedisSession.ServerRole = .standalone,
        _ adjust: (inout RedisSettings) -> Void = { _ in }
    ) throws {
        var settings = try RedisSettings(RedisURL(url))
        adjust(&settings)
        self.session = RedisSession(
            settings, scripts: scripts.map(RedisScript.init), for: mode, with: role,
            seed: 1)
    }

    mutating func tick() -> Bool { self.session.tick(now: self.now) }

    mutating func advance(_ time: Duration) {
        self.now = self.now.advanced(by: time)
        _ = self.tick()
    }

    /// Advances in ticks, as a loop does.
    mutating func advanceInTicks(_ time: Duration) {
        let end = self.now.advanced(by: time)
        while self.now < end { self.advance(.milliseconds(100)) }
    }

    /// Connects, after a delay if necessary, and completes the handshake.
    mutating func connect(epoch: Int = 1) {
        if case .connecting = self.session.state {
        } else {
            while !self.tick() { self.now = self.now.advanced(by: .milliseconds(10)) }
        }
        self.session.opened(now: self.now)
        let count = self.flushCommands().split(separator: "|").count
        #expect(self.receive(String(repeating: "+OK\r\n", count: count)) == ["ready \(epoch)"])
    }

    mutating func send(_ tag: UInt64, _ text: String, slot: RedisSlot = .any) {
        do {
            try self.session.command(tag: CommandTag(rawValue: tag), slot: slot, now: self.now) {
                for word in text.split(separator: " ") { $0.append(text: String(word)) }
            }
        } catch {
            Issue.record("\(text): \(error)")
        }
    }

    mutating func receive(_ text: String) -> [String] {
        Array(text.utf8).withUnsafeBytes { self.session.receive($0, now: self.now) }
        return self.events()
    }

    mutating func events() -> [String] {
        var events: [String] = []
        while let event = self.session.next(now: self.now) {
            events.append(describe(event))
            if case .notExecuted(let commands, _) = event { self.notExecuted += commands }
        }
        return events
    }

    var unsentText: String {
        guard self.session.hasUnsent else { return "" }
        return self.session.withUnsent { String(decoding: $0, as: UTF8.self) }
    }

    /// Sends all unsent bytes, except some at the end.
    mutating func flush(leaving count: Int = 0) {
        if self.session.hasUnsent { self.session.didSend(self.session.withUnsent(\.count) - count) }
    }

    /// Sends all unsent bytes and returns their commands.
    mutating func flushCommands() -> String {
        self.session.takeSentCommands().joined(separator: "|")
    }
}
