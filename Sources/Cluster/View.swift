import Bytes
public import ChatModel

/// Who is there and, by that alone, who owns what: the same on every node that has a view of this number.
///
/// Ranking is by rendezvous (Thaler and Ravishankar, 1998): of all nodes of a list the one whose hash with the shard is highest owns
/// it, so a node that comes or goes moves its own shards only. Within a node a shard always has the same loop.
///
/// While nodes come or drain there are two lists, and bits that say which shards follow the new one already: every view moves a few.
/// Without such a move both lists are the same.
public struct View: Sendable, Equatable {
    public struct Node: Sendable, Equatable {
        public let incarnation: UInt64
        public let loops: Int
        /// It is about to go: its shards move to others.
        public var isDraining: Bool

        public init(incarnation: UInt64, loops: Int, isDraining: Bool = false) {
            self.incarnation = incarnation
            self.loops = loops
            self.isDraining = isDraining
        }
    }

    /// Every change makes the next number.
    public let number: Int
    /// Everybody who is there, by rising incarnation.
    public let nodes: [Node]
    /// Those among whom the shards have their owners that do not follow the new list yet.
    public let oldList: [UInt64]
    /// Those among whom the others have theirs.
    public let newList: [UInt64]
    /// The shards that follow the new list.
    public let moved: ShardSet
    /// The owner of every shard, worked out once.
    private let shardOwners: [LoopID]

    /// A view in which nothing moves: everybody owns its share.
    public init(number: Int, nodes: [Node]) {
        let all = nodes.map(\.incarnation)
        self.init(number: number, nodes: nodes, oldList: all, newList: all, moved: ShardSet())
    }

    /// A view as it was kept. Lists may name nodes that are there, and at least one.
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

    /// Who owns the shard when the present move is over; now, where none is.
    public func nextOwner(of shard: Int) -> LoopID {
        if self.oldList == self.newList || self.moved.contains(shard) {
            return self.owner(of: shard)
        }
        return RendezvousRanking(self.nodes, self.newList).owner(of: shard)
    }

    /// Whether a node owns any shard. Asked several times a second, and mostly answered by the first few.
    func ownsShards(_ incarnation: UInt64) -> Bool {
        self.shardOwners.contains { $0.incarnation == incarnation }
    }

    /// The node of an incarnation; nil when it is not there.
    public func node(_ incarnation: UInt64) -> Node? {
        self.nodes.first { $0.incarnation == incarnation }
    }

    /// The loop of a node that a conversation's listeners gather on, whoever owns it: the one that owns it, where
    /// that node does. Listeners that sit together cost one envelope, and none where the owner is their own loop.
    public static func preferredLoop(of conversation: ConversationKey, loops: Int) -> Int {
        self.loop(of: Shard.of(conversation), loops: loops)
    }

    private static func loop(of shard: Int, loops: Int) -> Int {
        Int(truncatingIfNeeded: StableHash.mix(UInt64(shard) &+ 1) % UInt64(loops))
    }

    /// The nodes of a list, ready to be ranked.
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
