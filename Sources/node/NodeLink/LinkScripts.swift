import Cluster
import RedisClient
import RedisStore

/// The atomic operations of a cluster in Redis, with the names of their keys and arguments. The Lua
/// files of `CScripts` say what each does.
enum LinkScripts {
    static let heartbeat = RedisScript(
        lua: "heartbeat", keys: "view views node holder copy nodes...",
        arguments: "known_number known_hash record record_lifetime process name_lifetime")
    static let propose = RedisScript(
        lua: "propose", keys: "view views events subject copy",
        arguments:
            "expected number text hash view_limit reason node age name process detail",
        constants: ["EVENT_LIMIT": String(eventLimit)])
    static let appendOnce = RedisScript(
        lua: "append_once", keys: "incident events", arguments: "duration details...",
        constants: ["EVENT_LIMIT": String(eventLimit)])
    static let changeLock = RedisScript(
        lua: "change_lock", keys: "lock", arguments: "process lifetime")
    static let trial = RedisScript(lua: "trial")

    static let all = [heartbeat, propose, appendOnce, StreamSizeEstimator.script]
    /// Nodes notice the end of a short incident at different times, up to this one.
    static let incidentMilliseconds: Int64 = 3000
    /// The number of events that are retained; Redis trims them approximately.
    static let eventLimit = 10_000
    /// The number of views that are retained for nodes that have missed some.
    static let viewLimit = 64
    /// A record outlives its node's last heartbeat by this time, so that operators still see the
    /// node.
    static let recordMilliseconds = 60_000
    /// A node holds its name for this time after its last heartbeat. Another node with the name
    /// waits.
    static let nameMilliseconds = Int(ClusterMembership.evictionTimeout)
}
