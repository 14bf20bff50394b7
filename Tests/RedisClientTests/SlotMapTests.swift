import EventLoop
import Testing

@testable import RedisClient

@Suite("The slots of a cluster")
struct SlotMapTests {
    private static let (a, b, c) = (
        RedisEndpoint(host: "a", port: 1), RedisEndpoint(host: "b", port: 2),
        RedisEndpoint(host: "c", port: 3)
    )

    /// The reply to CLUSTER SLOTS for these ranges.
    private static func map(
        _ ranges: [(ClosedRange<Int64>, [RedisEndpoint])], from endpoint: RedisEndpoint = a
    ) throws -> SlotMap? {
        let answer = RedisReplyValue.array(
            ranges.map { slots, nodes in
                .array(
                    [.integer(slots.lowerBound), .integer(slots.upperBound)]
                        + nodes.map {
                            .array([
                                .text($0.host), .integer(Int64($0.port)), .text("id"), .array([]),
                            ])
                        })
            })
        return try self.map(answer, from: endpoint)
    }

    private static func map(_ answer: RedisReplyValue, from endpoint: RedisEndpoint = a) throws
        -> SlotMap?
    {
        let reader = RedisReplyReader()
        try answer.wire.withUnsafeBytes { try reader.feed($0) }
        return try reader.next().flatMap { SlotMap($0, from: endpoint) }
    }

    @Test(
        "have the masters that a node reports; a node without a host has the host of the reply"
    )
    func reading() throws {
        let own = RedisEndpoint(host: "", port: 2)
        let map = try #require(
            try Self.map(
                [(0...99, [Self.a, Self.c]), (100...16_383, [own]), (50...50, [Self.c])],
                from: Self.b))
        #expect(
            map.masters == [Self.a, Self.b, Self.c] && map.replicas == [Self.c] && map.isComplete)
        #expect(
            map.owner(of: RedisSlot(99)) == 0 && map.owner(of: RedisSlot(100)) == 1
                && map.owner(of: RedisSlot(50)) == 2)
        #expect(map.owner(of: .any) == nil)
        #expect(map.firstSlots.map(\.number) == [0, 100, 50])
    }

    @Test("may have gaps, and move one by one")
    func moving() throws {
        var map = try #require(try Self.map([(0...16_382, [Self.a])]))
        #expect(!map.isComplete && map.owner(of: RedisSlot(16_383)) == nil)
        map.move(RedisSlot(16_383), to: Self.b)
        map.move(RedisSlot(0), to: Self.b)
        #expect(map.isComplete && map.masters == [Self.a, Self.b])
        #expect(map.owner(of: RedisSlot(0)) == 1 && map.owner(of: RedisSlot(1)) == 0)
        #expect(try Self.map([])?.isEmpty == true)
    }

    @Test(
        "are not read from an invalid reply",
        arguments: [
            .status("PONG"), .array([.integer(1)]), .array([.array([.integer(0), .integer(5)])]),
            .array([.array([.integer(5), .integer(0), .array([.text("a"), .integer(1)])])]),
            .array([.array([.integer(0), .integer(16_384), .array([.text("a"), .integer(1)])])]),
            .array([.array([.integer(-1), .integer(5), .array([.text("a"), .integer(1)])])]),
            .array([.array([.integer(0), .integer(5), .array([.text("a"), .integer(0)])])]),
        ] as [RedisReplyValue])
    func invalidReply(_ answer: RedisReplyValue) throws {
        #expect(try Self.map(answer) == nil)
    }

    @Test(
        "are redirected and retried a limited number of times; other errors are reported"
    )
    func redirection() {
        var command = QueuedCommand(
            tag: 1, slot: RedisSlot(5), isWait: false, bytes: [],
            writtenAt: MonotonicTime(nanoseconds: 0))
        func next(_ error: RedisError) -> Redirection {
            Redirection(error, of: command, host: "self")
        }
        let here = RedisEndpoint(host: "", port: 7)
        #expect(next(.moved(slot: 5, to: Self.a)) == .send(to: Self.a, asking: false))
        #expect(next(.ask(slot: 5, at: Self.a)) == .send(to: Self.a, asking: true))
        #expect(
            next(.moved(slot: 5, to: here))
                == .send(to: RedisEndpoint(host: "self", port: 7), asking: false))
        #expect(next(.tryAgain) == .retryLater)
        for error in [
            RedisError.clusterDown, .readOnly, .loading, .masterDown, .outOfMemory, .snapshotFailed,
            .other("x"),
        ] {
            #expect(next(error) == .fail)
        }
        command.redirects = UInt8(Redirection.redirectLimit)
        #expect(
            next(.moved(slot: 5, to: Self.a)) == .fail && next(.ask(slot: 5, at: Self.a)) == .fail
                && next(.tryAgain) == .retryLater)
        command.retries = UInt8(Redirection.retryLimit)
        #expect(next(.tryAgain) == .fail)
    }

    @Test("without a master have queued commands, each slot separately")
    func retryQueue() {
        var queue = RetryQueue()
        for slot in [1, 2, 1] as [UInt16] {
            queue.append(
                QueuedCommand(
                    tag: 0, slot: RedisSlot(slot), isWait: false, bytes: [1, 2, 3],
                    writtenAt: MonotonicTime(nanoseconds: 0)))
        }
        #expect(
            queue.count == 3 && queue.byteCount == 9 && queue.contains(RedisSlot(2))
                && !queue.contains(RedisSlot(3)))
        #expect(queue.drain().map(\.slot.number) == [1, 2, 1])
        #expect(queue.isEmpty && queue.byteCount == 0 && !queue.contains(RedisSlot(1)))
    }
}
