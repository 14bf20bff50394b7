internal import JSON
internal import Telemetry

/// The verbs that change nodes: drains, log levels.
extension OperatorVerb {
    static let nodeArgument = OperatorParameter.argument("node", "NODE", "the node's name")

    static let serviceVerbs: [OperatorVerb] = [
        OperatorVerb(
            "drain", "take a node out of service",
            [
                nodeArgument,
                .option("rate", "N", .rate, "clients to close per second, 200 or 200/s"),
                .option(
                    "deadline", "SECONDS", .duration(0...86_400),
                    "time limit for closing the clients; without it, the node's --drain-seconds"),
                .option("force", "", .flag, "also the last node that accepts clients"),
            ],
            role: .operate, display: .custom,
            examples: [
                .init("confab drain n1 --yes", "hand over its shards and close its clients"),
                .init("confab drain n1 --rate 200 --dry-run", "only report what it would do"),
            ],
            notes: [
                """
                The node hands over its shards, and then closes its clients with 1012, one \
                after the other, so that they reconnect elsewhere. It keeps running, accepts \
                no clients, and answers /api/health with 503 `draining` until `confab resume` \
                or its end. The drain continues even if this command is interrupted. The last \
                node that accepts clients is drained only with --force, and keeps its shards. \
                The cluster's view decides this, so of two drains at once one is refused.
                """
            ]),
        OperatorVerb(
            "resume", "return a drained node to service", [nodeArgument],
            role: .operate, display: .custom,
            examples: [.init("confab resume n1 --yes", "accept clients and shards again")]),
        OperatorVerb(
            "log-level", "change the log level of running nodes",
            [
                .argument("node", "NODE", "one node; without it, all nodes", isOptional: true),
                .argument(
                    "level", "LEVEL", kind: .choice(LogLevel.allCases.map(\.rawValue)),
                    "the lowest level that is logged"),
                .option(
                    "for", "TIME", .duration(1...86_400),
                    "return to the configured level after this time"),
            ],
            role: .operate, display: .summary,
            examples: [
                .init("confab log-level debug --for 10m --yes", "all nodes, for ten minutes"),
                .init("confab log-level n1 info --yes", "one node"),
            ],
            notes: [
                """
                Without --for the level applies until the node reloads its settings (SIGHUP) or \
                ends. With --for a reload does not end it: when the time is over, the node \
                returns to the level that it reloaded last. A later order replaces an earlier one.
                """
            ]),
        OperatorVerb(
            "rebalance", "spread the clients evenly over the nodes",
            [
                .option(
                    "rate", "N", .rate, default: 50, "clients to close per second, 50 or 50/s")
            ],
            role: .operate, display: .custom,
            examples: [
                .init("confab rebalance --dry-run", "only report which nodes have too many"),
                .init("confab rebalance --rate 200 --yes", "close the surplus, 200 per second"),
            ],
            notes: [
                """
                A node with 10 % more clients than the mean closes the surplus with 1012, one \
                after the other, so that the load balancer sends them to other nodes. It needs \
                a load balancer that prefers the node with the fewest connections. Shards are \
                never moved by hand: they follow the view, and nodes move them on their own.
                """
            ]),
    ]
}
