import Cluster
import JSON
import NodeLink
import Testing

@testable import AdminAPI

@Suite("The rows of nodes")
struct NodeRowsTests {
    @Test("have the same keys for silent nodes, with null for what is unknown")
    func silentNode() throws {
        let peers = [1, 2, 3].map { (number: UInt64) in
            NodeLink.PeerNode(
                incarnation: number, record: nil, isDraining: false,
                silentFor: number == 2 ? 1500 : nil, evictedFor: number == 3 ? 14_000 : nil)
        }
        let view = View(number: 1, nodes: [View.Node(incarnation: 1, loops: 1)])
        let snapshot = ClusterSnapshot(ownIncarnation: 1, view: view, peers: peers)
        var replies = NodeReplies(queriedCount: 3)
        replies.byNode[1] = [
            "uptime": 7, "connections": 0, "redis_unreachable_for": .null, "restored": 0,
            "renumbered": 0,
            "lost": 0, "health": "healthy", "reason": .null,
        ]
        let rows = NodeVerbs.rows(snapshot, replies)
        let document = AdminRouter.completed(
            ["nodes": .array(rows)], try #require(AdminRouter.verbsByPath["nodes"]))
        let completed = try #require(document["nodes"]?.elements)
        let keys = completed.map { Set($0.members?.map(\.name) ?? []) }
        #expect(keys[0] == keys[1] && keys[1] == keys[2])
        #expect(
            keys[0].isSuperset(of: [
                "unreachable_for", "health", "restored", "unresponsive_loops", "rss",
            ]))
        for row in completed { #expect(row.members?.count == keys[0].count, "a key twice") }
        #expect(completed.map { $0["unreachable_for"] } == [.null, 1, 14])
        #expect(completed.map { $0["health"] } == ["healthy", .null, .null])
        #expect(completed.map { $0["state"] } == ["active", "suspect", "gone"])
    }
}
