import Bytes
import ChatCore
import ChatModel
import Cluster
import SeededRandom
import StoreTestSupport
import Testing

@testable import Gateway

@Suite("Who hears a conversation")
struct SubscriberIndexTests {
    /// Feeds of a loop's own making, as nobody else can name them.
    private static func feeds(_ count: Int, twice: Bool = false) -> [FeedID] {
        let id = LoopID(incarnation: 1, loop: 0)
        var chat = ChatLoop(
            id: id, view: View(number: 1, nodes: [.init(incarnation: 1, loops: 1)]),
            limits: ChatLimits())
        let now = ClockReading(monotonic: 0, wall: .init(milliseconds: 0))
        let actor = Principal(
            person: Person(id: UserID(tokenSubject: "ann"), name: "ann"), isAdmin: false)
        return (0..<count).map { number in
            chat.subscribe(
                to: Self.key(number),
                with: JoinRequest(principal: actor, isListedInToken: true, kind: .conversations),
                context: 0, at: now
            ).feed
        }
    }

    private static func key(_ number: Int) -> ConversationKey {
        ConversationKey(tenant: "t", id: .init("\(number)"))
    }

    @Test("is grouped by dialect and compression, dialects side by side")
    func groups() {
        let feed = Self.feeds(1)[0]
        var audiences = SubscriberIndex()
        let kinds = [(1, false), (0, true), (1, true), (0, false), (2, false), (0, true)]
        for (slot, kind) in kinds.enumerated() {
            _ = audiences.insert(
                UInt32(slot), into: feed, key: Self.key(0), dialect: kind.0, isCompressed: kind.1,
                isPersonal: false, isLive: true,
                reportedThrough: slot)
        }
        #expect(audiences[feed].groups.map(\.dialect) == [0, 0, 1, 1, 2])
        #expect(audiences[feed].groups.map(\.live.count).reduce(0, +) == 6)
        #expect(
            audiences[feed].groups.first { $0.dialect == 0 && $0.isCompressed }?.live == [1, 5])
        #expect(
            audiences[feed].reportedThrough == 0, "only the first listener says where reports begin"
        )
    }

    @Test("is forgotten with the last listener")
    func forgotten() {
        let feed = Self.feeds(1)[0]
        var audiences = SubscriberIndex()
        #expect(!audiences.isCurrent(feed))
        let place = audiences.insert(
            3, into: feed, key: Self.key(0), dialect: 0, isCompressed: false, isPersonal: false,
            isLive: false, reportedThrough: 9)
        #expect(audiences.isCurrent(feed))
        #expect(
            audiences.remove(
                from: feed, dialect: 0, isCompressed: false, isPersonal: false, isLive: false,
                position: place) == nil)
        #expect(!audiences.isCurrent(feed))
        #expect(audiences[feed].key == nil)
        #expect(
            audiences.remove(
                from: feed, dialect: 0, isCompressed: false, isPersonal: false, isLive: false,
                position: place) == nil)
    }

    @Test(
        "keeps everybody's place right through comings and goings",
        arguments: 0..<10 as Range<UInt64>)
    func oracle(seed: UInt64) {
        struct Listener: Hashable {
            let slot: UInt32
            let feed: Int
            let dialect: Int
            let isCompressed: Bool
            let isLive: Bool
        }
        var chance = SeededGenerator(seed: seed)
        let feeds = Self.feeds(4)
        var audiences = SubscriberIndex()
        var places: [Listener: Int] = [:]
        var next: UInt32 = 0
        for _ in 0..<800 {
            if places.isEmpty
                || Int.random(in: 0..<100, using: &chance) < (places.count < 60 ? 60 : 40)
            {
                let listener = Listener(
                    slot: next, feed: Int.random(in: 0..<4, using: &chance),
                    dialect: Int.random(in: 0..<3, using: &chance),
                    isCompressed: Bool.random(using: &chance), isLive: Bool.random(using: &chance))
                next += 1
                places[listener] = audiences.insert(
                    listener.slot, into: feeds[listener.feed], key: Self.key(listener.feed),
                    dialect: listener.dialect,
                    isCompressed: listener.isCompressed, isPersonal: false, isLive: listener.isLive,
                    reportedThrough: 0)
            } else {
                let listener = places.keys.sorted { $0.slot < $1.slot }.randomElement(
                    using: &chance)!
                let place = places.removeValue(forKey: listener)!
                let moved = audiences.remove(
                    from: feeds[listener.feed], dialect: listener.dialect,
                    isCompressed: listener.isCompressed, isPersonal: false,
                    isLive: listener.isLive,
                    position: place)
                if let moved { places[places.keys.first { $0.slot == moved }!] = place }
            }
            // Every listener stands at its place, and nobody else stands anywhere.
            var count = 0
            for audience in audiences.entries {
                for group in audience.groups { count += group.live.count + group.catchingUp.count }
            }
            #expect(count == places.count)
            for (listener, place) in places {
                let group = audiences[feeds[listener.feed]].groups.first {
                    $0.dialect == listener.dialect && $0.isCompressed == listener.isCompressed
                }
                let list = listener.isLive ? group?.live : group?.catchingUp
                #expect(list.map { place < $0.count ? $0[place] : .max } == listener.slot)
            }
        }
    }
}
