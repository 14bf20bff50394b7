import Cluster
import ClusterWire
import Testing

@testable import NodeLink

@Suite("A heartbeat exchange")
struct HeartbeatExchangeTests {
    private static let view = View(
        number: 3, nodes: [7, 8, 9].map { View.Node(incarnation: $0, loops: 1) })

    private static func exchange() -> HeartbeatExchange {
        var exchange = HeartbeatExchange(
            redisKeys: ClusterRedisKeys(cluster: "chat"), process: "me")
        exchange.start(for: 7, in: Self.view)
        return exchange
    }

    private static func reply(views: [String], heartbeats: [String], holder: SampleReply)
        -> SampleReply
    {
        .list([
            .text("5000"), .text("3"), .list(views.map { .text($0) }),
            .list(heartbeats.map { .text($0) }), holder,
            .text("5000250"),
        ])
    }

    @Test("reads the views, and the heartbeats of the other nodes in the order of the query")
    func reply() throws {
        var exchange = Self.exchange()
        let reply = Self.reply(
            views: [Self.view.text], heartbeats: ["4900", ""], holder: .text("me"))
        let outcome = try #require(try reply.read { try exchange.read($0) })
        #expect(outcome.reply.time == 5000)
        #expect(outcome.redisTime == 5_000_250)
        #expect(outcome.reply.number == 3)
        #expect(outcome.reply.views == [Self.view])
        #expect(outcome.reply.heartbeats == [8: 4900])
        #expect(outcome.reply.holdsName)
        #expect(outcome.otherNameHolder == nil)
    }

    @Test(
        "tells another holder of the node's name from none",
        arguments: [("other", "other"), ("", nil), ("me", nil)])
    func nameHolder(holder: String, other: String?) throws {
        var exchange = Self.exchange()
        let reply = Self.reply(views: [], heartbeats: [], holder: .text(holder))
        let outcome = try #require(try reply.read { try exchange.read($0) })
        #expect(outcome.otherNameHolder == other)
        #expect(outcome.reply.holdsName == (holder == "me"))
    }

    @Test("rejects a malformed reply, and throws for an unreadable view")
    func malformed() throws {
        var exchange = Self.exchange()
        let outcome = try SampleReply.list([.text("5000")]).read { try exchange.read($0) }
        #expect(outcome == nil)
        #expect(throws: PersistentTextError.self) {
            try Self.reply(views: ["?"], heartbeats: [], holder: .null)
                .read { try exchange.read($0) }
        }
    }
}
