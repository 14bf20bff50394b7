import Cluster
import RedisClient
import RedisStore

/// The atomic operations of a cluster in Redis. The files in `Lua` describe them.
enum LinkScripts {
    static let heartbeat = Self.script(PackageResources.heartbeat_lua)
    static let propose = Self.script(PackageResources.propose_lua)
    static let appendOnce = Self.script(PackageResources.append_once_lua)
    static let changeLock = Self.script(PackageResources.change_lock_lua)
    static let trial = Self.script(PackageResources.trial_lua)

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

    private static func script(_ file: [UInt8]) -> RedisScript {
        RedisScript(lua: file, constants: ["EVENT_LIMIT": String(Self.eventLimit)])
    }
}
