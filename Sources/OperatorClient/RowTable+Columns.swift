/// The columns of each document. The keys are a stable interface, because programs read them.
extension RowTable.Column {
    static let nodes: [Self] = [
        .init("NODE", "node"), .init("STATE", "state", .state),
        .init("ADDRESS", "address", importance: 7),
        .init("VERSION", "version", importance: 2),
        .init("UPTIME", "uptime", .seconds, importance: 6),
        .init("CONNECTIONS", "connections", .number, importance: 10, isSummed: true),
        .init("USERS", "users", .number, importance: 5, isSummed: true),
        .init("CONVERSATIONS", "conversations", .number, importance: 5, isSummed: true),
        .init("SHARDS", "shards", .number, importance: 9, isSummed: true),
        .init("IN/S", "in_s", .number, importance: 8, isSummed: true),
        .init("OUT/S", "out_s", .number, importance: 8, isSummed: true),
        .init("SLOW", "slow", .number, importance: 4, isSummed: true),
        .init("PENDING", "pending", .bytes, importance: 4, isSummed: true),
        .init("MAIL AGE", "mail_age", .milliseconds, importance: 3),
        .init("LOOP LAG P99", "loop_lag_p99", .milliseconds, importance: 3),
        .init("RSS", "rss", .bytes, importance: 6, isSummed: true),
        .init("B/CONN", "b_conn", .bytes, importance: 1),
        .init("CPU", "cpu", .percent, importance: 6, isSummed: true),
        .init("±%", "imbalance", .deviation, importance: 6),
    ]
    static let shards: [Self] = [
        .init("SHARD", "shard", .number), .init("OWNER", "owner"),
        .init("LOOP", "loop", .number, importance: 1),
        .init("EPOCH", "epoch", .number), .init("SINCE", "since", importance: 3),
        .init("CONVERSATIONS", "conversations", .number, importance: 2, isSummed: true),
        .init("MSG/S", "msg_s", .number, importance: 4, isSummed: true),
        .init("STATE", "state", .state),
    ]
    static let owner: [Self] = [
        .init("CONVERSATION", "conversation"), .init("TENANT", "tenant"),
        .init("SHARD", "shard", .number), .init("OWNER", "owner"),
        .init("LOOP", "loop", .number), .init("EPOCH", "epoch", .number),
        .init("STATE", "state", .state), .init("HEAD", "head", .number),
        .init("REVISION", "revision", .number), .init("VIEW", "view", .number), .init("WHY", "why"),
    ]
    static let messages: [Self] = [
        .init("ID", "id", .number), .init("TIMESTAMP", "timestamp", importance: 3),
        .init("SENDER ID", "sender_id"),
        .init("CONTENT", "content"), .init("IS EDITED", "is_edited", .flag, importance: 1),
        .init("IS DELETED", "is_deleted", .flag, importance: 2),
    ]
    static let verification: [Self] = [
        .init("CONVERSATION", "conversation"), .init("TENANT", "tenant"),
        .init("WHOLE", "whole", .flag),
        .init("MESSAGES", "messages", .number), .init("OLDEST", "oldest", .number),
        .init("HEAD", "head", .number),
        .init("REVISION", "revision", .number), .init("OWNER", "owner"),
        .init("OWNER HEAD", "owner_head", .number),
        .init("FAULTS", "faults"),
    ]
    static let redis: [Self] = [
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
    static let events: [Self] = [
        .init("ID", "id", importance: 1), .init("TIMESTAMP", "timestamp"), .init("EVENT", "event"),
        .init("NODE", "node"),
        .init("VIEW", "view", .number, importance: 2), .init("DETAIL", "detail", importance: 3),
    ]
    static let status: [Self] = [
        .init("CLUSTER", "cluster"), .init("STORE", "store"), .init("DURABILITY", "answered_is"),
        .init("VIEW", "view", .number),
        .init("NODES", "nodes", .number),
        .init("SHARDS", "shards", .number), .init("SHARDS MOVING", "shards_moving", .number),
        .init("CONNECTIONS", "connections", .number),
        .init("USERS", "users", .number), .init("CONVERSATIONS", "conversations", .number),
        .init("IN/S", "in_s", .number),
        .init("OUT/S", "out_s", .number), .init("SLOW", "slow", .number),
        .init("RESTORED", "restored", .number),
        .init("RENUMBERED", "renumbered", .number),
        .init("LOST", "lost", .number), .init("PROBLEMS", "problems"),
    ]
}
