import EventLoop
import Testing

@testable import RedisClient

@Suite("The slots of a cluster")
struct SlotMapTests {
    private static let (a, b, c) = (RedisPlace(host: "a", port: 1), RedisPlace(host: "b", port: 2), RedisPlace(host: "c", port: 3))

    /// As CLUSTER SLOTS would answer it.
    private static func map(_ ranges: [(ClosedRange<Int64>, [RedisPlace])], from place: RedisPlace = a) throws -> SlotMap? {
        let answer = Answer.array(
            ranges.map { slots, nodes in
                .array(
                    [.integer(slots.lowerBound), .integer(slots.upperBound)]
                        + nodes.map { .array([.text($0.host), .integer(Int64($0.port)), .text("id"), .array([])]) })
            })
        return try self.map(answer, from: place)
    }

    private static func map(_ answer: Answer, from place: RedisPlace = a) throws -> SlotMap? {
        let reader = RedisReplyReader()
        try answer.wire.withUnsafeBytes { try reader.feed($0) }
        return try reader.next().flatMap { SlotMap($0, from: place) }
    }

    @Test("have the masters that a node names; who does not know its own address has the one that answered")
    func reading() throws {
        let own = RedisPlace(host: "", port: 2)
        let map = try #require(try Self.map([(0...99, [Self.a, Self.c]), (100...16_383, [own]), (50...50, [Self.c])], from: Self.b))
        #expect(map.masters == [Self.a, Self.b, Self.c] && map.replicas == [Self.c] && map.isWhole)
        #expect(map.owner(of: RedisSlot(99)) == 0 && map.owner(of: RedisSlot(100)) == 1 && map.owner(of: RedisSlot(50)) == 2)
        #expect(map.owner(of: .any) == nil)
        #expect(map.firstSlots.map(\.number) == [0, 100, 50])
    }

    @Test("may have gaps, and move one by one")
    func moving() throws {
        var map = try #require(try Self.map([(0...16_382, [Self.a])]))
        #expect(!map.isWhole && map.owner(of: RedisSlot(16_383)) == nil)
        map.move(RedisSlot(16_383), to: Self.b)
        map.move(RedisSlot(0), to: Self.b)
        #expect(map.isWhole && map.masters == [Self.a, Self.b])
        #expect(map.owner(of: RedisSlot(0)) == 1 && map.owner(of: RedisSlot(1)) == 0)
        #expect(try Self.map([])?.isEmpty == true)
    }

    @Test(
        "are not read from what is no such answer",
        arguments: [
            .status("PONG"), .array([.integer(1)]), .array([.array([.integer(0), .integer(5)])]),
            .array([.array([.integer(5), .integer(0), .array([.text("a"), .integer(1)])])]),
            .array([.array([.integer(0), .integer(16_384), .array([.text("a"), .integer(1)])])]),
            .array([.array([.integer(-1), .integer(5), .array([.text("a"), .integer(1)])])]),
            .array([.array([.integer(0), .integer(5), .array([.text("a"), .integer(0)])])]),
        ] as [Answer])
    func nonsense(_ answer: Answer) throws {
        #expect(try Self.map(answer) == nil)
    }

    @Test("send a command on as often as nodes may disagree, and put it off for a while; anything else is told")
    func redirection() {
        var parcel = Parcel(tag: 1, slot: RedisSlot(5), isWait: false, bytes: [], writtenAt: MonotonicTime(nanoseconds: 0))
        func next(_ error: RedisError) -> Redirection { Redirection(error, of: parcel, host: "self") }
        let here = RedisPlace(host: "", port: 7)
        #expect(next(.moved(slot: 5, to: Self.a)) == .send(to: Self.a, asking: false))
        #expect(next(.ask(slot: 5, at: Self.a)) == .send(to: Self.a, asking: true))
        #expect(next(.moved(slot: 5, to: here)) == .send(to: RedisPlace(host: "self", port: 7), asking: false))
        #expect(next(.tryAgain) == .pause)
        for error in [RedisError.clusterDown, .readOnly, .loading, .masterDown, .outOfMemory, .snapshotFailed, .other("x")] {
            #expect(next(error) == .tell)
        }
        parcel.moves = UInt8(Redirection.moveLimit)
        #expect(next(.moved(slot: 5, to: Self.a)) == .tell && next(.ask(slot: 5, at: Self.a)) == .tell && next(.tryAgain) == .pause)
        parcel.pauses = UInt8(Redirection.pauseLimit)
        #expect(next(.tryAgain) == .tell)
    }

    @Test("that nobody has are waited for, each by itself")
    func waiting() {
        var room = WaitingRoom()
        for slot in [1, 2, 1] as [UInt16] {
            room.append(
                Parcel(tag: 0, slot: RedisSlot(slot), isWait: false, bytes: [1, 2, 3], writtenAt: MonotonicTime(nanoseconds: 0)))
        }
        #expect(room.count == 3 && room.byteCount == 9 && room.has(RedisSlot(2)) && !room.has(RedisSlot(3)))
        #expect(room.takeAll().map(\.slot.number) == [1, 2, 1])
        #expect(room.isEmpty && room.byteCount == 0 && !room.has(RedisSlot(1)))
    }

    @Test("are all reachable, or somebody is away, or a slot has nobody: each is told once")
    func news() throws {
        func told(_ event: RedisSession.Event?) -> String {
            switch event {
            case .ready(let epoch): "ready \(epoch)"
            case .away(let outage): "away \(outage)"
            default: "nothing"
            }
        }
        var routes = ClusterRoutes()
        #expect(told(routes.news(isEveryoneReady: true, outage: nil)) == "nothing")
        routes.mapOutage = .noClusterNode(reason: "x")
        #expect(told(routes.news(isEveryoneReady: true, outage: nil)) == "away \(RedisOutage.noClusterNode(reason: "x"))")
        #expect(told(routes.news(isEveryoneReady: true, outage: nil)) == "nothing")
        routes.map = try #require(try Self.map([(0...16_383, [Self.a])]))
        #expect(told(routes.news(isEveryoneReady: false, outage: nil)) == "nothing")
        #expect(told(routes.news(isEveryoneReady: true, outage: nil)) == "ready 1")
        #expect(told(routes.news(isEveryoneReady: true, outage: nil)) == "nothing")
        routes.isNews = true
        #expect(told(routes.news(isEveryoneReady: false, outage: nil)) == "nothing")
        #expect(told(routes.news(isEveryoneReady: true, outage: nil)) == "ready 2")
        #expect(told(routes.news(isEveryoneReady: false, outage: .ended)) == "away \(RedisOutage.ended)")
        #expect(told(routes.news(isEveryoneReady: true, outage: nil)) == "ready 3")
        routes.map = try #require(try Self.map([(1...16_383, [Self.a])]))
        #expect(told(routes.news(isEveryoneReady: true, outage: nil)) == "away \(RedisOutage.refused(.clusterDown))")
    }
}
