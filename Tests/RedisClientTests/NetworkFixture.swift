import Bytes
import EventLoop
import Testing

@testable import RedisClient

/// A mode of Redis as a value, with a clock and servers that the test controls. No socket is
/// opened.
struct NetworkFixture<Network> {
    var network: Network
    var now = MonotonicTime(nanoseconds: 1_000_000_000_000)
    private let loop: EventLoop

    init(
        _ url: String, for mode: RedisSession.SessionMode = .commands,
        _ make: (RedisLinkFactory) -> Network
    ) throws {
        // Links need a loop for their sockets.
        self.loop = try EventLoop.start(name: "unused")
        self.loop.stop()
        self.network = make(
            RedisLinkFactory(
                try RedisSettings(RedisURL(url)), scripts: [], for: mode, seed: 1, on: self.loop))
    }

    mutating func advance(_ time: Duration) { self.now = self.now.advanced(by: time) }
}

/// A description of an event for comparisons.
func describe(_ event: RedisSession.Event) -> String {
    switch event {
    case .ready(let epoch): "ready \(epoch)"
    case .unavailable(let outage): "unavailable \(outage)"
    case .reply(let reply, let tag):
        "\(tag.rawValue): \(reply.integer.map(String.init) ?? reply.string)"
    case .failed(let error, let tag): "\(tag.rawValue): \(error)"
    case .push: "push"
    case .notExecuted(let commands, let error):
        "notExecuted \(commands.map(\.tag.rawValue)): \(error)"
    }
}

extension RedisSession {
    /// Completes the attempt that the last tick has started, with a server that accepts everything
    /// and is a master.
    mutating func acceptConnection(now: MonotonicTime) {
        guard case .connecting = self.state else {
            Issue.record("The link does not connect; it is \(self.state).")
            return
        }
        self.opened(now: now)
        for command in self.takeSentCommands() {
            self.receive(command == "ROLE" ? "*1\r\n$6\r\nmaster\r\n" : "+OK\r\n", now: now)
        }
    }

    mutating func receive(_ text: String, now: MonotonicTime) {
        Array(text.utf8).withUnsafeBytes { self.receive($0, now: now) }
    }

    /// Sends all unsent bytes and returns their commands.
    mutating func takeSentCommands() -> [String] {
        guard self.hasUnsent else { return [] }
        let text = self.withUnsent { String(decoding: $0, as: UTF8.self) }
        self.didSend(text.utf8.count)
        return text.split(separator: "*").map { command in
            command.split(separator: "\r\n").dropFirst().enumerated()
                .filter { $0.offset % 2 == 1 }.map(\.element).joined(separator: " ")
        }
    }
}

extension RedisCommandWriter {
    /// Appends the blank-separated arguments.
    mutating func append(arguments text: String) {
        for argument in text.split(separator: " ") { self.append(text: String(argument)) }
    }
}

extension SlotMap {
    /// A map with these owners.
    static func sample(_ ranges: (ClosedRange<UInt16>, RedisEndpoint)...) -> SlotMap {
        var map = SlotMap()
        for (slots, endpoint) in ranges {
            for slot in slots { map.move(RedisSlot(slot), to: endpoint) }
        }
        return map
    }
}

/// The reply to CLUSTER SLOTS with one master for each range.
func slotsReply(_ ranges: (ClosedRange<Int>, port: UInt16)...) -> String {
    "*\(ranges.count)\r\n"
        + ranges.map { slots, port in
            "*3\r\n:\(slots.lowerBound)\r\n:\(slots.upperBound)\r\n*2\r\n$1\r\nh\r\n:\(port)\r\n"
        }.joined()
}
