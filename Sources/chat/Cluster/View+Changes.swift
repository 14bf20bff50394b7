import ChatModel

/// Successors of a view. The caller ensures that no two views get the same number.
extension View {
    /// Adds a node, or updates it. It owns no shards until a step assigns some to it.
    public func adding(_ node: Node) -> View {
        self.next(nodes: self.nodes.filter { $0.incarnation != node.incarnation } + [node])
    }

    /// Starts or stops draining a node; nil if nothing changes.
    public func setting(draining isDraining: Bool, _ incarnation: UInt64) -> View? {
        guard let index = self.nodes.firstIndex(where: { $0.incarnation == incarnation }),
            self.nodes[index].isDraining != isDraining
        else {
            return nil
        }
        var nodes = self.nodes
        nodes[index].isDraining = isDraining
        return self.next(nodes: nodes)
    }

    /// Removes a node from both lists at once; only its shards get other owners. Nil if no node is
    /// left.
    public func removing(_ incarnation: UInt64) -> View? {
        let nodes = self.nodes.filter { $0.incarnation != incarnation }
        guard !nodes.isEmpty else { return nil }
        var old = self.oldList.filter { $0 != incarnation }
        var new = self.newList.filter { $0 != incarnation }
        // The removed node was the last one of the old list or of the new one, so the move ends.
        if old.isEmpty, new.isEmpty {
            new = Self.targetNodes(among: nodes) ?? nodes.map(\.incarnation)
        }
        let isMoveOver = old.isEmpty || new.isEmpty
        if old.isEmpty { old = new }
        if new.isEmpty { new = old }
        return self.next(
            nodes: nodes, oldList: old, newList: new, moved: isMoveOver ? ShardSet() : self.moved)
    }

    /// The next step of a move: some shards follow the new list, or the move is complete and
    /// another one begins. Nil if every shard has its final owner.
    ///
    /// - Parameter limit: the maximum number of shards that change owner.
    public func step(shards limit: Int) -> View? {
        var (old, new, moved) = (self.oldList, self.newList, self.moved)
        var waiting = self.shardsToMove
        if waiting.isEmpty {
            if self.isRebalanced { return nil }
            (old, new, moved) = (new, self.targetList, ShardSet())
            let next = self.next(oldList: old, newList: new, moved: moved)
            if old == new { return next }
            waiting = next.shardsToMove
        }
        for shard in waiting.prefix(limit) { moved.insert(shard) }
        return self.next(oldList: old, newList: new, moved: moved)
    }

    /// The same view under a number above `number`, for a store that lost it.
    public func renumbered(above number: Int) -> View {
        View(
            number: max(self.number, number) + 1, nodes: self.nodes, oldList: self.oldList,
            newList: self.newList, moved: self.moved)
    }

    /// Whether every shard has its final owner, and no node still waits for its share.
    public var isRebalanced: Bool {
        self.oldList == self.newList && self.newList == self.targetList
    }

    /// If all nodes drain, the shards stay, because no other node can take them.
    private var targetList: [UInt64] { Self.targetNodes(among: self.nodes) ?? self.newList }

    /// The shards that do not follow the new list yet and have another owner there.
    public var shardsToMove: [Int] {
        guard self.oldList != self.newList else { return [] }
        let new = RendezvousRanking(self.nodes, self.newList)
        return (0..<Shard.count).filter {
            !self.moved.contains($0) && self.owner(of: $0) != new.owner(of: $0)
        }
    }

    /// The nodes that are to share the shards, in ascending order; nil if all nodes drain.
    private static func targetNodes(among nodes: [Node]) -> [UInt64]? {
        let staying = nodes.filter { !$0.isDraining }.map(\.incarnation)
        return staying.isEmpty ? nil : staying.sorted()
    }

    private func next(
        nodes: [Node]? = nil, oldList: [UInt64]? = nil, newList: [UInt64]? = nil,
        moved: ShardSet? = nil
    ) -> View {
        View(
            number: self.number + 1, nodes: nodes ?? self.nodes, oldList: oldList ?? self.oldList,
            newList: newList ?? self.newList,
            moved: moved ?? self.moved)
    }
}
