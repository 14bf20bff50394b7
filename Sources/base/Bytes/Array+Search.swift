extension Array {
    /// A binary search: the index of the first element for which a condition holds that also holds
    /// for all later ones; `count` if it holds for none.
    @inlinable
    public func partitioningIndex<Failure: Error>(
        where condition: (Element) throws(Failure) -> Bool
    ) throws(Failure) -> Int {
        var (low, high) = (0, self.count)
        while low < high {
            let middle = (low + high) / 2
            if try condition(self[middle]) { high = middle } else { low = middle + 1 }
        }
        return low
    }
}
