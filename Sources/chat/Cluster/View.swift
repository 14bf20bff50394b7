import Bytes
public import ChatModel

/// The members of a cluster. A view alone determines the owner of every shard, so all nodes with
/// the same view number agree.
///
/// Ranking is by rendezvous hashing (Thaler and Ravishankar, 1998): the node of a list whose hash
/// with the shard is highest owns it. A node that joins or leaves moves only its own shards. Within
/// a node, a shard always has the same loop.
///
/// While nodes join or drain there are two lists, and a bit per shard says whether it follows the
/// new one; every view moves some shards. Without a move, both lists are the same.
public struct View: Sendable, Equatable {
    public struct Node: Sendable, Equatable {
        public let incarnation: UInt64
        public let loops: Int
        /// It is being drained: its shards move to other nodes.
        public var isDraining: Bool

        public init(incarnation: UInt64, loops: Int, isDraining: Bool = false) {
            self.incarnation = incarnation
            self.loops = loops
            self.isDraining = isDraining
        }
    }

    /// Every change increments the number.
    public let number: Int
    /// All nodes, in ascending order of incarnation.
    public let nodes: [Node]
    /// The nodes among which the shards that have not moved yet have their owners.
    public let oldList: [UInt64]
    /// The nodes among which the moved shards have their owners.
    public let newList: [UInt64]
    /// The shards that follow the new list.
    public let moved: ShardSet
    /// The owner of every shard, computed once.
    private let shardOwners: [LoopID]

    /// A view without a move: every node owns its share.
    public init(number: Int, nodes: [Node]) {
        let all = nodes.map(\.incarnation)
        self.init(number: number, nodes: nodes, oldList: all, newList: all, moved: ShardSet())
    }

    /// A stored view. Each list contains at least one node, and only nodes of the view.
    public init(number: Int, nodes: [Node], oldList: [UInt64], newList: [UInt64], moved: ShardSet) {
        precondition(!oldList.isEmpty && !newList.isEmpty, "a view without nodes owns nothing")
        self.number = number
        self.nodes = nodes.sorted { $0.incarnation < $1.incarnation }
        self.oldList = oldList.sorted()
        self.newList = newList.sorted()
        self.moved = moved
        let old = RendezvousRanking(nodes, oldList)
        let new = oldList == newList ? old : RendezvousRanking(nodes, newList)
        self.shardOwners = (0..<Shard.count).map { (moved.contains($0) ? new : old).owner(of: $0) }
    }

    public func owner(of shard: Int) -> LoopID {
        self.shardOwners[shard]
    }

    public func owner(of conversation: ConversationKey) -> LoopID {
        self.shardOwners[Shard.of(conversation)]
    }

    /// The owner after the current move; without a move, the current owner.
    public func nextOwner(of shard: Int) -> LoopID {
        if self.oldList == self.newList || self.moved.contains(shard) {
            return self.owner(of: shard)
        }
        return RendezvousRanking(self.nodes, self.newList).owner(of: shard)
    }

    /// Whether a node owns any shard. It is called several times a second, and mostly decided by
    /// the first few shards.
    public func ownsShards(_ incarnation: UInt64) -> Bool {
        self.shardOwners.contains { $0.incarnation == incarnation }
    }

    /// The node with an incarnation; nil if it is not in the view.
    public func node(_ incarnation: UInt64) -> Node? {
        self.nodes.first { $0.incarnation == incarnation }
    }

    /// The loop of a node on which the subscribers of a conversation are gathered: the one that
    /// would own it on that node. Gathered subscribers need one envelope, or none if the owner is
    /// their own loop.
    public static func preferredLoop(of conversation: ConversationKey, loops: Int) -> Int {
        self.loop(of: Shard.of(conversation), loops: loops)
    }

    private static func loop(of shard: Int, loops: Int) -> Int {
        Int(truncatingIfNeeded: StableHash.mix(UInt64(shard) &+ 1) % UInt64(loops))
    }

    /// The nodes of a list, prepared for ranking.
    struct RendezvousRanking {
        private let nodes: [(node: Node, hash: UInt64)]

        init(_ nodes: [Node], _ list: [UInt64]) {
            self.nodes = nodes.filter { list.contains($0.incarnation) }.map {
                ($0, StableHash.mix($0.incarnation))
            }
            precondition(
                self.nodes.count == list.count, "a list of a view names a node that is not there")
        }

        func owner(of shard: Int) -> LoopID {
            var best = self.nodes[0].node
            var highest = StableHash.mix(UInt64(shard) ^ self.nodes[0].hash)
            for (node, hash) in self.nodes.dropFirst() {
                let weight = StableHash.mix(UInt64(shard) ^ hash)
                if weight > highest || weight == highest && node.incarnation > best.incarnation {
                    (best, highest) = (node, weight)
                }
            }
            return LoopID(
                incarnation: best.incarnation, loop: UInt16(View.loop(of: shard, loops: best.loops))
            )
        }
    }
}
