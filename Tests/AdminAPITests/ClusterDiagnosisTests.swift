import NodeLink
import Testing

@testable import AdminAPI

@Suite("The diagnosis of a cluster")
struct ClusterDiagnosisTests {
    typealias Condition = ClusterDiagnosis.NodeCondition
    typealias Redis = ClusterDiagnosis.Redis

    /// A node's knowledge, and the sentences that follow.
    struct Situation: Sendable, CustomTestStringConvertible {
        let name: String
        let redis: Redis?
        let nodes: [Condition]
        let problems: [String]
        var testDescription: String { self.name }

        init(
            _ name: String, silence: Int64? = nil, reason: String? = nil, pubSub: Bool = false,
            _ nodes: [Condition], _ problems: [String]
        ) {
            self.name = name
            self.redis = Redis(
                address: "r:6379", silence: silence, reason: reason, isPubSubSilent: pubSub)
            self.nodes = nodes
            self.problems = problems
        }
    }

    private static func node(
        _ name: String, _ change: (inout Condition) -> Void = { _ in }
    ) -> Condition {
        var node = Condition(name: name, shards: 1365, version: "1")
        change(&node)
        return node
    }

    private static let refused = DirectCallError.unreachable("h:8091", reason: "refused")

    static let situations: [Situation] = [
        Situation("everything works", [node("n1"), node("n2")], []),
        Situation(
            "Redis is frozen: one cause, and no degraded store of a node", silence: 4200,
            [
                node("n1") {
                    $0.redisSilence = 4200
                    $0.degradation = "store: does not answer"
                },
                node("n2") {
                    $0.redisSilence = 4100
                    $0.degradation = "cluster: the node receives no messages from Redis Pub/Sub"
                    $0.heartbeatAge = 4000
                },
            ],
            [
                "Redis at r:6379 has not answered for 4.2 s: sends are refused, and nodes deliver "
                    + "no messages to each other. Open connections stay, and sends work again as "
                    + "soon as Redis answers"
            ]),
        Situation(
            "Redis is dead", silence: 12_000, reason: "r:6379 refuses the connection.",
            [node("n1") { $0.redisSilence = 12_000 }],
            [
                "Redis at r:6379 has not answered for 12 s: sends are refused, and nodes deliver "
                    + "no messages to each other. Open connections stay, and sends work again as "
                    + "soon as Redis answers. Cause: r:6379 refuses the connection."
            ]),
        Situation(
            "Redis and a node are dead", silence: 3000,
            [
                node("n1") { $0.redisSilence = 3000 },
                node("n2") { $0.contact = .unanswered(refused) },
                node("n3") { $0.contact = .unanswered(.noListener) },
            ],
            [
                "Redis at r:6379 has not answered for 3.0 s: sends are refused, and nodes deliver "
                    + "no messages to each other. Open connections stay, and sends work again as "
                    + "soon as Redis answers",
                "n2 does not answer at its admin address h:8091: refused",
                "n3 was not asked: its admin listener is off",
            ]),
        Situation(
            "the asked node has lost Redis", silence: 3000,
            [node("n1") { $0.redisSilence = 3000 }, node("n2"), node("n3")],
            [
                "Redis at r:6379 has not answered n1 for 3.0 s, but it answers n2 and n3: sends "
                    + "through n1 are refused. Check the network between n1 and Redis"
            ]),
        Situation(
            "another node has lost Redis",
            [
                node("n1"),
                node("n2") {
                    $0.redisSilence = 2500
                    $0.heartbeatAge = 2500
                    $0.degradation = "store: does not answer"
                },
            ],
            [
                "Redis at r:6379 has not answered n2 for 2.5 s, but it answers n1: sends through "
                    + "n2 are refused. Check the network between n2 and Redis"
            ]),
        Situation(
            "only Pub/Sub is silent", pubSub: true, [node("n1"), node("n2")],
            [
                "Redis at r:6379 answers, but its Pub/Sub delivers nothing to n1: messages of "
                    + "other nodes arrive late. n1 subscribes again"
            ]),
        Situation(
            "a node is frozen",
            [
                node("n1"),
                node("n2") {
                    $0.contact = .unanswered(.timeout("h:8091"))
                    $0.heartbeatAge = 1600
                },
            ],
            [
                "n2 does not answer; its last heartbeat is 1.6 s old. After 3 s without one it is "
                    + "evicted, and its 1365 shards move to the other nodes"
            ]),
        Situation(
            "a node was evicted",
            [node("n1"), node("n2") { $0.contact = .evicted(milliseconds: 14_000) }],
            [
                "n2 has been gone for 14 s: its heartbeats stopped, and the other nodes took over "
                    + "its shards. It joins again when it runs"
            ]),
        Situation(
            "a node answers without heartbeats",
            [node("n1"), node("n2") { $0.heartbeatAge = 2000 }],
            [
                "n2 answers, but its last heartbeat in Redis is 2.0 s old; it is evicted after "
                    + "3 s without one"
            ]),
        Situation(
            "nodes drain",
            [
                node("n1") {
                    $0.isDraining = true
                    $0.connections = 7
                },
                node("n2") {
                    $0.isDrained = true
                    $0.shards = 0
                },
            ],
            [
                "n1 is draining: 1365 shards and 7 clients left",
                "n2 is drained and accepts no clients until `confab resume n2`",
            ]),
        Situation(
            "a node has a problem of its own",
            [
                node("n1") {
                    $0.degradation = "loop 1 does not turn"
                    $0.unresponsiveLoops = 1
                    $0.lost = 2
                }
            ],
            [
                "n1: loop 1 does not turn",
                "n1: Redis lost acknowledged changes; 2 of them are lost",
                "n1: 1 of its loops do not answer",
            ]),
        Situation(
            "versions differ", [node("n1"), node("n2") { $0.version = "2" }],
            ["nodes run different versions: 1, 2"]),
    ]

    @Test("names the causes", arguments: situations)
    func causes(of situation: Situation) {
        let diagnosis = ClusterDiagnosis(
            asked: "n1", redis: situation.redis, nodes: situation.nodes)
        #expect(diagnosis.problems == situation.problems)
    }

    @Test("mentions moving shards once")
    func moves() {
        var diagnosis = ClusterDiagnosis(asked: "n1", redis: nil, nodes: [Self.node("n1")])
        diagnosis.isUnbalanced = true
        #expect(
            diagnosis.problems == ["shards are about to move: the set of nodes has changed"])
        diagnosis.movingShards = 12
        #expect(diagnosis.problems == ["12 shards are moving to other nodes"])
    }
}

@Suite("A plan to rebalance")
struct RebalancePlanTests {
    @Test(
        "closes what a node has above the mean, unless the difference is small",
        arguments: [
            ([30, 0, 0], [20, 0, 0]), ([10, 10, 10], [0, 0, 0]), ([105, 100, 95], [0, 0, 0]),
            ([111, 100, 89], [11, 0, 0]), ([1, 0, 0], [0, 0, 0]), ([2, 0, 0], [1, 0, 0]),
            ([5], [0]), ([], []), ([50, 50, 2], [16, 16, 0]),
        ])
    func surplus(connections: [Int], surplus: [Int]) {
        let plan = RebalancePlan(connections.enumerated().map { ("n\($0.offset + 1)", $0.element) })
        #expect(plan.loads.map(\.surplus) == surplus)
        // The nodes that get the clients have room for all of them.
        #expect(plan.surplus <= connections.reduce(0, +))
    }

    @Test("says what it does")
    func summary() {
        #expect(
            RebalancePlan([("n1", 30), ("n2", 0)]).summary(verb: "would close")
                == "would close 15 of 30 clients of n1 with 1012")
        #expect(
            RebalancePlan([("n1", 3), ("n2", 3)]).summary(verb: "closing")
                == "no node has 10 % more clients than the mean: nothing to move")
    }
}
