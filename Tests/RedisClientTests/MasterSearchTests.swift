import EventLoop
import Testing

@testable import RedisClient

@Suite("Sentinels")
struct MasterSearchTests {
    private static let (a, b) = (
        RedisEndpoint(host: "a", port: 1), RedisEndpoint(host: "b", port: 2)
    )
    private var search = MasterSearch(name: "m", sentinelCount: 3)
    private let now = MonotonicTime(nanoseconds: 0)

    @Test("decide the master from the first reply on, and by majority when replies differ")
    mutating func majority() {
        self.search.receivedAnswer(Self.b, from: 0, now: self.now)
        #expect(self.search.master == Self.b)
        self.search.receivedAnswer(Self.a, from: 1, now: self.now)
        #expect(self.search.master == Self.b)
        self.search.receivedAnswer(Self.a, from: 2, now: self.now)
        #expect(self.search.master == Self.a)
        self.search.receivedAnswer(nil, from: 2, now: self.now)
        #expect(self.search.master == Self.a)
    }

    @Test(
        "report a switch, which counts at once; outdated sentinels are ignored for a while"
    )
    mutating func switching() {
        for sentinel in 0..<3 { self.search.receivedAnswer(Self.a, from: sentinel, now: self.now) }
        self.search.receivedSwitch(from: Self.a, to: Self.b, by: 1, now: self.now)
        #expect(self.search.master == Self.b)
        self.search.receivedAnswer(Self.a, from: 0, now: self.now)
        self.search.receivedAnswer(Self.a, from: 2, now: self.now)
        #expect(self.search.master == Self.b)
        let later = self.now.advanced(by: .seconds(11))
        self.search.receivedAnswer(Self.a, from: 0, now: later)
        #expect(self.search.master == Self.b)
        self.search.receivedAnswer(Self.a, from: 2, now: later)
        #expect(self.search.master == Self.a)
        // A switch back counts at once, too.
        self.search.receivedSwitch(from: Self.b, to: Self.a, by: 0, now: self.now)
        self.search.receivedSwitch(from: Self.a, to: Self.b, by: 0, now: self.now)
        #expect(self.search.master == Self.b)
    }

    @Test(
        "that know no such master, or are unreachable, are reported once all have been queried"
    )
    mutating func reasons() {
        self.search.receivedAnswer(nil, from: 0, now: self.now)
        self.search.sentinelUnavailable(1, .ended)
        #expect(self.search.outage == nil)
        self.search.sentinelUnavailable(2, .ended)
        #expect(self.search.outage == .unknownMaster(name: "m"))
        self.search.sentinelUnavailable(0, .socket(.refused, server: "x:1"))
        #expect(
            self.search.outage
                == .noSentinel(reason: "x:1 refuses the connection: no Redis listens there."))
        self.search.receivedAnswer(Self.a, from: 0, now: self.now)
        self.search.sentinelUnavailable(0, .ended)
        #expect(self.search.outage == nil && self.search.master == Self.a)
    }

    @Test("send messages that do not concern this master")
    mutating func messages() throws {
        let reader = RedisReplyReader()
        func message(_ wire: String) throws -> MasterSearch.SentinelMessage? {
            try Array(wire.utf8).withUnsafeBytes { try reader.feed($0) }
            return try reader.next().flatMap { self.search.message(in: $0) }
        }
        func push(_ text: String) -> String {
            "*3\r\n$7\r\nmessage\r\n$14\r\n+switch-master\r\n$\(text.utf8.count)\r\n\(text)\r\n"
        }
        #expect(try message("*2\r\n$1\r\na\r\n$1\r\n1\r\n") == .answer(Self.a))
        #expect(try message("*-1\r\n") == .answer(nil))
        #expect(try message(push("m a 1 b 2")) == .switched(from: Self.a, to: Self.b))
        #expect(try message(push("mm a 1 b 2")) == nil)
        #expect(try message(push("m a 1 b")) == nil)
        #expect(try message("*2\r\n$4\r\npong\r\n$0\r\n\r\n") == nil)
        #expect(try message("*3\r\n$9\r\nsubscribe\r\n$14\r\n+switch-master\r\n:1\r\n") == nil)
        #expect(try message("*3\r\n$11\r\nunsubscribe\r\n$-1\r\n:0\r\n") == nil)
        #expect(try message("+PONG\r\n") == nil)
    }
}
