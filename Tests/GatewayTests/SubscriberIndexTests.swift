import Bytes
import ChatCore
import ChatEngine
import ChatModel
import Cluster
import ConversationsDialect
import SeededRandom
import StoreTestSupport
import Testing

@testable import Gateway

@Suite("The subscriber index")
struct SubscriberIndexTests {
    /// Feeds from a real loop, because their ids cannot be made elsewhere.
    private static func feeds(_ count: Int, twice: Bool = false) -> [FeedID] {
        let id = LoopID(incarnation: 1, loop: 0)
        var chat = ChatLoop(
            id: id, view: View(number: 1, nodes: [.init(incarnation: 1, loops: 1)]),
            limits: Limits())
        let now = ClockReading(monotonic: 0, wall: .init(milliseconds: 0))
        let actor = Principal(
            person: Person(id: UserID(tokenSubject: "ann"), name: "ann"), isAdmin: false)
        return (0..<count).map { number in
            chat.subscribe(
                to: Self.key(number),
                with: JoinRequest(
                    principal: actor, isListedInToken: true, template: .conversations),
                context: 0, at: now
            ).feed
        }
    }

    private static func key(_ number: Int) -> ConversationKey {
        ConversationKey(tenant: "t", id: .init("\(number)"))
    }

    @Test("groups by dialect and compression, with adjacent groups for a dialect")
    func groups() {
        let feed = Self.feeds(1)[0]
        var index = SubscriberIndex()
        let kinds = [(1, false), (0, true), (1, true), (0, false), (2, false), (0, true)]
        for (slot, kind) in kinds.enumerated() {
            _ = index.insert(
                UInt32(slot), into: feed, key: Self.key(0), dialect: kind.0, isCompressed: kind.1,
                tracksDeliveries: false, isLive: true,
                reportedThrough: slot)
        }
        #expect(index[feed].groups.map(\.dialect) == [0, 0, 1, 1, 2])
        #expect(index[feed].groups.map(\.live.count).reduce(0, +) == 6)
        #expect(
            index[feed].groups.first { $0.dialect == 0 && $0.isCompressed }?.live == [1, 5])
        #expect(
            index[feed].reportedThrough == 0, "only the first listener says where reports begin"
        )
    }

    @Test("forgets a feed with its last subscriber")
    func forgotten() {
        let feed = Self.feeds(1)[0]
        var index = SubscriberIndex()
        #expect(!index.isCurrent(feed))
        let position = index.insert(
            3, into: feed, key: Self.key(0), dialect: 0, isCompressed: false,
            tracksDeliveries: false,
            isLive: false, reportedThrough: 9)
        #expect(index.isCurrent(feed))
        #expect(
            index.remove(
                from: feed, dialect: 0, isCompressed: false, tracksDeliveries: false, isLive: false,
                position: position) == nil)
        #expect(!index.isCurrent(feed))
        #expect(index[feed].key == nil)
        #expect(
            index.remove(
                from: feed, dialect: 0, isCompressed: false, tracksDeliveries: false, isLive: false,
                position: position) == nil)
    }

    @Test(
        "keeps each subscriber's position correct through insertions and removals",
        arguments: 0..<10 as Range<UInt64>)
    func oracle(seed: UInt64) {
        struct Subscription: Hashable {
            let slot: UInt32
            let feed: Int
            let dialect: Int
            let isCompressed: Bool
            let isLive: Bool
        }
        var generator = SeededGenerator(seed: seed)
        let feeds = Self.feeds(4)
        var index = SubscriberIndex()
        var positions: [Subscription: Int] = [:]
        var next: UInt32 = 0
        for _ in 0..<800 {
            if positions.isEmpty
                || Int.random(in: 0..<100, using: &generator) < (positions.count < 60 ? 60 : 40)
            {
                let subscriber = Subscription(
                    slot: next, feed: Int.random(in: 0..<4, using: &generator),
                    dialect: Int.random(in: 0..<3, using: &generator),
                    isCompressed: Bool.random(using: &generator),
                    isLive: Bool.random(using: &generator))
                next += 1
                positions[subscriber] = index.insert(
                    subscriber.slot, into: feeds[subscriber.feed], key: Self.key(subscriber.feed),
                    dialect: subscriber.dialect,
                    isCompressed: subscriber.isCompressed, tracksDeliveries: false,
                    isLive: subscriber.isLive,
                    reportedThrough: 0)
            } else {
                let subscriber = positions.keys.sorted { $0.slot < $1.slot }.randomElement(
                    using: &generator)!
                let position = positions.removeValue(forKey: subscriber)!
                let moved = index.remove(
                    from: feeds[subscriber.feed], dialect: subscriber.dialect,
                    isCompressed: subscriber.isCompressed, tracksDeliveries: false,
                    isLive: subscriber.isLive,
                    position: position)
                if let moved { positions[positions.keys.first { $0.slot == moved }!] = position }
            }
            // Every subscriber is at its position, and there are no others.
            var count = 0
            for subscribers in index.entries {
                for group in subscribers.groups {
                    count += group.live.count + group.catchingUp.count
                }
            }
            #expect(count == positions.count)
            for (subscriber, position) in positions {
                let group = index[feeds[subscriber.feed]].groups.first {
                    $0.dialect == subscriber.dialect && $0.isCompressed == subscriber.isCompressed
                }
                let list = subscriber.isLive ? group?.live : group?.catchingUp
                #expect(list.map { position < $0.count ? $0[position] : .max } == subscriber.slot)
            }
        }
    }
}
