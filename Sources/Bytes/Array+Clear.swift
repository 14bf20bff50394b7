extension Array {
    /// Forgets all elements and keeps the room, unless there were more than `limit`: a burst's room is given back.
    ///
    /// For lists that are filled and emptied in every turn of a loop. Those are mostly empty or hold one element, for which
    /// `removeAll(keepingCapacity:)` takes ten times as long.
    @inlinable
    public mutating func clear(keepingCapacityUpTo limit: Int = 4096) {
        switch self.count {
        case 0: break
        case 1: self.removeLast()
        case let count: self.removeAll(keepingCapacity: count <= limit)
        }
    }
}
