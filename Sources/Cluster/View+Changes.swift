import ChatModel

/// How one view follows another: values in, values out. Who keeps them sees to it that nobody else has made the same number.
extension View {
    /// A node has come, or says again who it is. It owns nothing before a step gives it something.
    public func adding(_ node: Node) -> View {
        self.next(nodes: self.nodes.filter { $0.incarnation != node.incarnation } + [node])
    }

    /// A node wants to go, or to stay after all; nil where that is nothing new.
    public func setting(draining isDraining: Bool, _ incarnation: UInt64) -> View? {
        guard let place = self.nodes.firstIndex(where: { $0.incarnation == incarnation }),
            self.nodes[place].isDraining != isDraining
        else {
            return nil
        }
        var nodes = self.nodes
        nodes[place].isDraining = isDraining
        return self.next(nodes: nodes)
    }

    /// A node is gone: it leaves both lists at once, and only its own shards get other owners. Nil where nobody is left.
    public func removing(_ incarnation: UInt64) -> View? {
        let nodes = self.nodes.filter { $0.incarnation != incarnation }
        guard !nodes.isEmpty else { return nil }
        var old = self.oldList.filter { $0 != incarnation }
        var new = self.newList.filter { $0 != incarnation }
        // The move that had begun has lost the list that it came from, or the one that it went to.
        if old.isEmpty, new.isEmpty {
            new = Self.targetNodes(among: nodes) ?? nodes.map(\.incarnation)
        }
        let isMoveOver = old.isEmpty || new.isEmpty
        if old.isEmpty { old = new }
        if new.isEmpty { new = old }
        return self.next(
            nodes: nodes, oldList: old, newList: new, moved: isMoveOver ? ShardSet() : self.moved)
    }

    /// The next step of a move: a few shards follow the new list, or the move is over and another begins. Nil where every shard is
    /// where it belongs.
    ///
    /// - Parameter limit: so many shards change their owner at most.
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

    /// The same under a number above another's: a store that lost it is told again.
    public func renumbered(above number: Int) -> View {
        View(
            number: max(self.number, number) + 1, nodes: self.nodes, oldList: self.oldList,
            newList: self.newList, moved: self.moved)
    }

    /// Whether every shard is where it belongs, and nobody is there who is still to get a share.
    public var isRebalanced: Bool {
        self.oldList == self.newList && self.newList == self.targetList
    }

    /// Where everybody drains, everybody keeps what it has: there is nobody to give it to.
    private var targetList: [UInt64] { Self.targetNodes(among: self.nodes) ?? self.newList }

    /// The shards whose owner by the new list is another one, and that do not follow it yet.
    public var shardsToMove: [Int] {
        guard self.oldList != self.newList else { return [] }
        let new = RendezvousRanking(self.nodes, self.newList)
        return (0..<Shard.count).filter {
            !self.moved.contains($0) && self.owner(of: $0) != new.owner(of: $0)
        }
    }

    /// Those who are to share the shards, by rising incarnation; nil where everybody is about to go.
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
