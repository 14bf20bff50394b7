/// The verbs that take nodes out of service and return them.
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
            ],
            permission: .operate, display: .custom,
            examples: [
                .init("confab drain n1 --yes", "hand over its shards and close its clients"),
                .init("confab drain n1 --rate 200 --dry-run", "only report what it would do"),
            ],
            notes: [
                """
                The node hands over its shards, and then closes its clients with 1012, one \
                after the other, so that they reconnect elsewhere. It keeps running, accepts \
                no clients, and answers /api/health with 503 `draining` until `confab resume` \
                or its end. The drain continues even if this command is interrupted. A node \
                without other nodes keeps its shards.
                """
            ]),
        OperatorVerb(
            "resume", "return a drained node to service", [nodeArgument],
            permission: .operate, display: .custom,
            examples: [.init("confab resume n1 --yes", "accept clients and shards again")]),
    ]
}
