public import JSON

/// The verbs about the cluster and its nodes.
extension OperatorVerb {
    private static let missingNodesNote = """
        A node that does not answer within two seconds has a row without numbers, and the exit \
        status is 3. The columns are the keys of the rows in the JSON document, in upper case.
        """

    static let redisSourceNote = """
        With --via no node is queried: the data is read from Redis, and nothing is written. Data \
        that only nodes have is null. A node counts as gone after three seconds without a \
        heartbeat.
        """

    static let clusterVerbs: [OperatorVerb] = [
        OperatorVerb(
            "status", "summarise the cluster and its problems",
            display: .record(
                statusColumns, sentences: Sentences("problems", whenEmpty: "No problems.")),
            examples: [.init("confab status", "the cluster's state and problems")],
            notes: [missingNodesNote]),
        OperatorVerb(
            "nodes", "list the nodes with their load and state",
            display: .table(key: "nodes", nodeColumns, hasTotals: true), readsRedis: true,
            examples: [
                .init("confab nodes --sort -connections", "the busiest node first"),
                .init(
                    "confab nodes --output json --admin http://10.0.0.7:8090",
                    "for a program, through another node"),
                .init(
                    "confab nodes --via redis://10.0.0.9:6379 --watch",
                    "from Redis, while no node answers"),
            ], notes: [missingNodesNote, redisSourceNote]),
        OperatorVerb(
            "shards", "show how the 4,096 shards are shared out",
            [
                .option("node", "NODE", .text(limit: 255), "only shards of this node"),
                .clientOption(
                    "all", "", .flag, "one row for each shard, instead of one for each node"),
            ],
            display: .table(key: "shards", shardColumns, hasTotals: true), readsRedis: true,
            examples: [
                .init("confab shards", "one row for each node"),
                .init(
                    "confab shards --all --node n1 --sort -conversations --limit 10",
                    "the fullest shards of a node"),
            ],
            notes: [
                """
                Without --all there is one row for each node that owns shards: their number, \
                how many the node has claimed, how many are moving, and the ranges of their \
                numbers, of which the table shows the first. With --output json the document \
                has `nodes` and `shards` in either case.
                """,
                """
                A shard has an epoch after it was claimed, at the first use of one of its \
                conversations; SINCE is the time of the claim. If its owner was suspended, the \
                shard has no epoch until its next use. CONVERSATIONS counts those in memory, \
                and MSG/S the messages of the last second.
                """,
            ]),
        OperatorVerb(
            "redis", "show the state of Redis for each node",
            display: .table(key: "redis", redisColumns), readsRedis: true,
            examples: [.init("confab redis", "round trips, memory, last deliveries")],
            notes: [
                """
                ROUND TRIP is the time of one INFO. STREAM BYTES is the size of all messages, \
                estimated if there are many keys. LAST DELIVERY is the time since the node \
                last received its own probe through Redis. REBUILDS counts resubscriptions \
                after missing probes and lost connections.
                """
            ]),
        OperatorVerb(
            "events", "print the cluster's event log",
            [
                .option("last", "N", .number(1...1000), default: 20, "number of newest events"),
                .option("node", "NODE", .text(limit: 255), "only events of this node"),
                .option("type", "T", .text(limit: 64), "only events of this type, such as dies"),
                .option(
                    "since", "TIME", .duration(1...31_536_000),
                    "only events of this time until now, such as 1h"),
                .member("after", .text(limit: 64), "events after the one with this id"),
            ],
            display: .table(key: "events", eventColumns), readsRedis: true, follows: true,
            examples: [
                .init("confab events --last 100", "oldest first"),
                .init("confab events --since 1h --type dies", "the evictions of the last hour"),
                .init("confab events --follow", "continue with new events"),
            ],
            notes: [
                """
                One row per incident. joins, leaves, dies: a node joined, stopped, or was \
                evicted. moves: a rebalance of shards is complete. drain, drained, resume: an \
                operator's drain began, is complete, or was ended. outage, failover, rebuild: \
                Redis did not answer, has another master, or its Pub/Sub delivered nothing or \
                lost the node's connection. \
                restores: Redis had lost the list of nodes. A node without Redis records \
                starts, stops, store_failed and store_recovered. Every verb that changes \
                something is recorded with its operator: the name of the admin token, or the \
                address. So is every reading of content (history, trace, user, support), once in \
                ten minutes for each subject. With --follow and --output json every event is an \
                object on a line of its own.
                """
            ]),
    ]

    private static let statusColumns: [OperatorColumn] = [
        .init("CLUSTER", "cluster"), .init("STORE", "store"), .init("REDIS", "redis"),
        .init("DURABILITY", "durability"),
        .init("VIEW", "view", .number),
        .init("NODES", "nodes", .number),
        .init("SHARDS", "shards", .number), .init("SHARDS MOVING", "shards_moving", .number),
        .init("CONNECTIONS", "connections", .number),
        .init("USERS", "users", .number), .init("CONVERSATIONS", "conversations", .number),
        .init("IN/S", "in_s", .number),
        .init("OUT/S", "out_s", .number), .init("SLOW", "slow", .number),
        .init("RESTORED", "restored", .number),
        .init("RENUMBERED", "renumbered", .number),
        .init("LOST", "lost", .number), .init("PROBLEMS", "problems", .list),
    ]

    private static let nodeColumns: [OperatorColumn] = [
        .init("NODE", "node"), .init("STATE", "state", .state),
        .init("ADDRESS", "address", importance: 3),
        .init("VERSION", "version", importance: 1),
        .init("UPTIME", "uptime", .seconds, importance: 4),
        .init("CONNECTIONS", "connections", .number, importance: 12, isSummed: true),
        .init("USERS", "users", .number, importance: 3, isSummed: true),
        .init("CONVERSATIONS", "conversations", .number, importance: 3, isSummed: true),
        .init("SHARDS", "shards", .number, importance: 11, isSummed: true),
        .init("IN/S", "in_s", .number, importance: 7, isSummed: true),
        .init("OUT/S", "out_s", .number, importance: 8, isSummed: true),
        .init("SLOW", "slow", .number, importance: 10, isSummed: true),
        .init("PENDING", "pending", .bytes, importance: 6, isSummed: true),
        .init("MAIL AGE", "mail_age", .milliseconds, importance: 8),
        .init("LOOP LAG P99", "loop_lag_p99", .milliseconds, importance: 9),
        .init("RSS", "rss", .bytes, importance: 5, isSummed: true),
        .init("B/CONN", "b_conn", .bytes, importance: 1),
        .init("CPU", "cpu", .percent, importance: 9, isSummed: true),
        .init("±%", "imbalance", .deviation, importance: 6),
    ]

    /// Adds `null` for each key that a node's row lacks, such as the row of a silent node or of one
    /// with another version.
    public static func completed(nodeRow row: JSONTree) -> JSONTree {
        let missing = self.otherNodeKeys.filter { row[$0] == nil }
        return .object((row.members ?? []) + missing.map { .init($0, .null) })
    }

    /// The keys of a node's row that are no columns.
    private static let otherNodeKeys = [
        "admin_address", "unreachable_for", "redis_unreachable_for", "restored", "renumbered",
        "lost", "health", "reason", "unresponsive_loops",
    ]

    private static let shardColumns: [OperatorColumn] = [
        .init("SHARD", "shard", .number), .init("OWNER", "owner"),
        .init("LOOP", "loop", .number, importance: 1),
        .init("EPOCH", "epoch", .number), .init("SINCE", "since", importance: 3),
        .init("CONVERSATIONS", "conversations", .number, importance: 2, isSummed: true),
        .init("MSG/S", "msg_s", .number, importance: 4, isSummed: true),
        .init("STATE", "state", .state),
    ]

    /// The columns of `confab shards` without `--all`.
    public static let shardNodeColumns: [OperatorColumn] = [
        .init("NODE", "node"), .init("SHARDS", "shards", .number, isSummed: true),
        .init("CLAIMED", "claimed", .number, importance: 6, isSummed: true),
        .init("MOVING", "moving", .number, importance: 8, isSummed: true),
        .init("CONVERSATIONS", "conversations", .number, importance: 5, isSummed: true),
        .init("MSG/S", "msg_s", .number, importance: 7, isSummed: true),
        .init("RANGES", "ranges", .ranges, importance: 4),
    ]

    private static let redisColumns: [OperatorColumn] = [
        .init("NODE", "node"), .init("MODE", "mode", importance: 8),
        .init("SERVERS", "servers", importance: 9),
        .init("ROLE", "role", importance: 9),
        .init("VERSION", "version", importance: 5),
        .init("REPLICAS", "replicas", .number, importance: 7),
        .init("ROUND TRIP", "round_trip", .milliseconds, importance: 10),
        .init("LAST DELIVERY", "last_delivery", .milliseconds, importance: 10),
        .init("REBUILDS", "rebuilds", .number, importance: 9),
        .init("CLIENTS", "clients", .number, importance: 3),
        .init("MEMORY", "memory", .bytes, importance: 6),
        .init("STREAM BYTES", "stream_bytes", .bytes, importance: 6),
        .init("MEMORY LIMIT", "memory_limit", .bytes, importance: 4),
        .init("EVICTION", "eviction", importance: 6),
        .init("APPEND ONLY", "append_only", .flag, importance: 4),
        .init("UPTIME", "uptime", .seconds, importance: 2),
        .init("FAILURE", "failure", importance: 11),
    ]

    private static let eventColumns: [OperatorColumn] = [
        .init("ID", "id", importance: 1), .init("TIMESTAMP", "timestamp"),
        .init("EVENT", "event"), .init("NODE", "node"),
        .init("OPERATOR", "operator", importance: 3),
        .init("VIEW", "view", .number, importance: 2), .init("DETAIL", "detail"),
    ]
}
