internal import Bytes
public import ChatModel
public import Cluster
internal import ClusterWire
internal import EventLoop
public import RedisClient
internal import RedisStore

/// Reads in Redis what a cluster keeps there of itself, for somebody who is none of its nodes: for operators when none of them answers.
///
/// It writes nothing, and waits for each answer.
public final class ClusterReader: Sendable {
    /// Redis does not answer, or what stands there is no cluster's.
    public struct Failure: Error, Sendable, CustomStringConvertible {
        public let description: String
        /// Redis has answered: to ask again is of no use.
        public let isAnswer: Bool

        static func silence(_ description: String) -> Failure { Failure(description: description, isAnswer: false) }
        static func answer(_ description: String) -> Failure { Failure(description: description, isAnswer: true) }
    }

    /// Who is in the view that holds, and how they are.
    public struct Members: Sendable {
        public let view: View
        /// By name.
        public let peers: [NodeLink.Peer]
        /// By Redis' clock, in milliseconds.
        public let now: Int64

        public func name(of node: UInt64) -> String { self.peers.name(of: node) }
    }

    /// One of the servers that take commands.
    public struct Server: Sendable {
        public let place: String
        public let info: RedisInfo
        public let microseconds: Int
    }

    private let settings: RedisSettings
    private let names: LinkNames
    private let glance: StoreGlance
    private let loop: EventLoop
    private let questioner: RedisQuestioner

    /// Connects; the first question waits for that.
    ///
    /// - Parameter authorities: a file (PEM) of those whom to believe for `rediss`; nil for the system's.
    public init(_ url: RedisURL, trusting authorities: String?, clusterName: String) throws {
        var settings = try RedisSettings(url, trusting: authorities)
        settings.name = "confab-operator"
        settings.connectPatience = Self.patience
        settings.commandPatience = Self.patience
        self.settings = settings
        self.names = LinkNames(cluster: clusterName)
        self.glance = StoreGlance(of: clusterName)
        self.loop = try EventLoop.start(name: "operator")
        self.questioner = RedisQuestioner(settings, on: self.loop)
    }

    deinit { self.loop.stop() }

    private static let patience = Duration.seconds(2)

    // MARK: Access

    /// Finds out whether Redis answers, and lets the user of the URL read what a cluster keeps there. Throws why not.
    public func checkAccess() throws(Failure) {
        let slot = RedisSlot(key: self.names.view)
        _ = try self.questioner.ask([RedisQuestion(slot, "HGET", self.names.view, "number")])
    }

    // MARK: Nodes

    public func members() throws(Failure) -> Members {
        let slot = RedisSlot(key: self.names.view)
        let answers = try self.questioner.ask([
            RedisQuestion(slot, "TIME"), RedisQuestion(slot, "HGET", self.names.view, "text"),
        ])
        let now = Int64(answers[0][0].number ?? 0) * 1000 + Int64(answers[0][1].number ?? 0) / 1000
        guard let text = answers[1].text, !text.isEmpty else {
            throw .answer("no node of the cluster \(self.names.cluster) is there, nor has been since the last left by itself")
        }
        let view: View
        do throws(KeptTextError) {
            view = try View(text: text)
        } catch {
            throw .answer("the Redis key \(self.names.view): \(error)")
        }
        let records = try self.questioner.ask(
            view.nodes.map { RedisQuestion(slot, "HMGET", self.names.node($0.incarnation), "record", "beat") })
        let peers = zip(view.nodes, records).map { node, answer in
            // A record outlives its node for a minute.
            let silence = answer[1].number.map { max(0, now - Int64($0)) } ?? Int64(LinkScripts.recordMilliseconds)
            return NodeLink.Peer(
                incarnation: node.incarnation, record: answer[0].text.flatMap { try? NodeRecord(text: $0) }, isDraining: node.isDraining,
                silentFor: silence, goneFor: silence >= Membership.silence ? silence : nil)
        }
        return Members(view: view, peers: peers.sorted { $0.name < $1.name }, now: now)
    }

    // MARK: Shards and conversations

    /// Who has claimed these shards last, and under which epoch; who has never been claimed is missing.
    public func leases(of shards: [Int]) throws(Failure) -> [Int: (epoch: Int, owner: String)] {
        let answers = try self.questioner.ask(
            shards.map { shard in
                let name = self.glance.lease(of: shard)
                return RedisQuestion(RedisSlot(key: name), "HGET", name, StoreGlance.leaseField)
            })
        return Dictionary(
            uniqueKeysWithValues: zip(shards, answers).compactMap { shard, answer in
                answer.text.flatMap(StoreGlance.lease).map { (shard, $0) }
            })
    }

    /// How far a conversation is stored; nil where there is none.
    public func head(of key: ConversationKey) throws(Failure) -> (head: Int, revision: Int)? {
        let name = self.glance.conversation(key)
        let answer = try self.questioner.ask([RedisQuestion(RedisSlot(key: name), "HGET", name, StoreGlance.headField)])[0]
        guard let text = answer.text else { return nil }
        guard let head = StoreGlance.head(text) else { throw .answer("the Redis key \(name): it is not what was stored") }
        return head
    }

    // MARK: Redis

    /// `standalone`, `sentinel` or `cluster`.
    public var mode: String { self.settings.url.kind.name }

    /// The servers that take commands, as they say themselves how they are, by where they are.
    public func servers() throws(Failure) -> [Server] {
        // Who they are is known once they are connected.
        _ = try self.questioner.ask([RedisQuestion(.any, "PING")])
        return try self.questioner.masters().map { place, slot throws(Failure) in
            let begin = MonotonicTime.exact.nanoseconds
            let answer = try self.questioner.ask([RedisQuestion(slot, "INFO")])[0]
            let microseconds = Int(MonotonicTime.exact.nanoseconds - begin) / 1000
            return Server(place: place, info: RedisInfo(answer.text ?? ""), microseconds: microseconds)
        }
    }
}
