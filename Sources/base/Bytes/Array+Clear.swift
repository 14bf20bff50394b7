extension Array {
    /// Removes all elements. Keeps the capacity if the array has at most `limit` elements, so a
    /// burst does not hold memory for ever.
    ///
    /// For arrays that are filled and emptied in every turn of a loop. They usually hold no element
    /// or one. For these, `removeAll(keepingCapacity:)` takes ten times as long.
    @inlinable
    public mutating func clear(keepingCapacityUpTo limit: Int = 4096) {
        switch self.count {
        case 0: break
        case 1: self.removeLast()
        case let count: self.removeAll(keepingCapacity: count <= limit)
        }
    }
}
