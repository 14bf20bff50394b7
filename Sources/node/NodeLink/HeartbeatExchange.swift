import Bytes
import Cluster
import ClusterWire
import RedisClient

/// A node's heartbeats: writes the command, and reads the reply with the views and the other
/// nodes' heartbeats.
///
/// It is a value. It keeps what a reply refers to: the queried nodes, and the hash of the known
/// view, with which Redis sends only the views that are new.
struct HeartbeatExchange {
    /// The content of a reply.
    struct Outcome {
        let reply: ClusterMembership.HeartbeatReply
        /// The other process that holds this node's name; nil if none does.
        let otherNameHolder: String?
        /// Redis' time, in microseconds since 1970.
        let redisTime: Int64?
    }

    private let redisKeys: ClusterRedisKeys
    /// Distinguishes this process from others with its node name, in all its incarnations.
    let process: String
    /// The hash of the known view, as stored in Redis.
    private var knownHash = ""
    /// The nodes whose heartbeat times the pending reply contains, in order.
    private var queriedNodes: [UInt64] = []

    init(redisKeys: ClusterRedisKeys, process: String) {
        self.redisKeys = redisKeys
        self.process = process
    }

    static func hash(_ view: String) -> String {
        String(StableHash.of(ByteString(view)), radix: 36)
    }

    /// The view with this hash was stored by this node.
    mutating func stored(_ hash: String) { self.knownHash = hash }

    /// Starts a heartbeat, whose reply tells the heartbeats of the other nodes in `view`.
    mutating func start(for incarnation: UInt64, in view: View?) {
        self.queriedNodes = (view?.nodes ?? []).map(\.incarnation).filter { $0 != incarnation }
    }

    /// - Parameter holdsName: whether this process may take or renew its name.
    func write(
        _ record: NodeRecord, view: View?, holdsName: Bool, to command: inout RedisCommandWriter
    ) {
        command.append(LinkScripts.heartbeat, keyCount: 5 + self.queriedNodes.count)
        command.append(text: self.redisKeys.view)
        command.append(text: self.redisKeys.views)
        command.append(text: self.redisKeys.node(record.incarnation))
        command.append(text: self.redisKeys.holder(of: record.name))
        command.append(text: self.redisKeys.copy)
        for node in self.queriedNodes { command.append(text: self.redisKeys.node(node)) }
        command.append(view?.number ?? 0)
        command.append(text: self.knownHash)
        command.append(text: record.text)
        command.append(LinkScripts.recordMilliseconds)
        command.append(text: holdsName ? self.process : "")
        command.append(LinkScripts.nameMilliseconds)
    }

    /// Reads the reply to the last heartbeat. Nil if it is malformed; throws if a stored view is
    /// unreadable.
    mutating func read(_ reply: RedisReply) throws(PersistentTextError) -> Outcome? {
        guard let time = reply[0]?.integer, let number = reply[1]?.integer, let texts = reply[2],
            let heartbeats = reply[3]
        else { return nil }
        var views: [View] = []
        var newest = ""
        for text in texts.elements {
            newest = text.string
            views.append(try View(text: newest))
        }
        if !newest.isEmpty { self.knownHash = Self.hash(newest) }
        var ages: [UInt64: Int64] = [:]
        for (node, heartbeat) in zip(self.queriedNodes, heartbeats.elements) {
            ages[node] = heartbeat.integer
        }
        let holder = reply[4]?.string ?? ""
        return Outcome(
            reply: ClusterMembership.HeartbeatReply(
                time: time, number: Int(number), views: views, heartbeats: ages,
                holdsName: holder == self.process),
            otherNameHolder: holder == self.process || holder.isEmpty ? nil : holder,
            redisTime: reply[5]?.integer)
    }
}
