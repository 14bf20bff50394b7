import Bytes
public import ChatModel

/// Who is there and, by that alone, who owns what.
///
/// Ranking is by rendezvous (Thaler and Ravishankar, 1998): of all nodes the one whose hash with the shard is highest
/// owns it, so a node that comes or goes moves its own shards only. Within a node a shard always has the same loop.
public struct View: Sendable, Equatable {
    public struct Node: Sendable, Equatable {
        public let incarnation: UInt64
        public let loops: Int

        public init(incarnation: UInt64, loops: Int) {
            self.incarnation = incarnation
            self.loops = loops
        }
    }

    public let number: Int
    public let nodes: [Node]
    /// The owner of every shard, worked out once.
    private let owners: [OwnerID]

    public init(number: Int, nodes: [Node]) {
        precondition(!nodes.isEmpty, "a view without nodes owns nothing")
        self.number = number
        self.nodes = nodes
        self.owners = (0..<Shard.count).map { Self.owner(of: $0, among: nodes) }
    }

    public func owner(of shard: Int) -> OwnerID {
        self.owners[shard]
    }

    public func owner(of conversation: ConversationKey) -> OwnerID {
        self.owners[Shard.of(conversation)]
    }

    /// The loop of a node that a conversation's listeners gather on, whoever owns it: the one that owns it, where
    /// that node does. Listeners that sit together cost one envelope, and none where the owner is their own loop.
    public static func home(of conversation: ConversationKey, loops: Int) -> Int {
        self.loop(of: Shard.of(conversation), loops: loops)
    }

    private static func loop(of shard: Int, loops: Int) -> Int {
        Int(truncatingIfNeeded: StableHash.mix(UInt64(shard) &+ 1) % UInt64(loops))
    }

    private static func owner(of shard: Int, among nodes: [Node]) -> OwnerID {
        let weight = { (node: Node) in StableHash.mix(UInt64(shard) ^ StableHash.mix(node.incarnation)) }
        let best = nodes.max { left, right in
            let (a, b) = (weight(left), weight(right))
            return a == b ? left.incarnation < right.incarnation : a < b
        }
        guard let best else { preconditionFailure("a view without nodes") }
        return OwnerID(incarnation: best.incarnation, loop: UInt16(self.loop(of: shard, loops: best.loops)))
    }
}
