/// Wake-up times of conversations, in a binary heap, earliest first.
struct TimerHeap: Sendable {
    struct Entry: Sendable {
        let time: Int64
        let slot: UInt32
        let generation: UInt32
    }

    private var heap: [Entry] = []

    mutating func insert(_ entry: Entry) {
        self.heap.append(entry)
        var child = self.heap.count - 1
        while child > 0 {
            let parent = (child - 1) / 2
            guard self.heap[child].time < self.heap[parent].time else { return }
            self.heap.swapAt(child, parent)
            child = parent
        }
    }

    /// Removes the earliest entry that is due.
    mutating func popDue(at time: Int64) -> Entry? {
        guard let first = self.heap.first, first.time <= time else { return nil }
        let last = self.heap.removeLast()
        guard !self.heap.isEmpty else { return first }
        self.heap[0] = last
        var parent = 0
        while true {
            var least = parent
            for child in [2 * parent + 1, 2 * parent + 2]
            where child < self.heap.count && self.heap[child].time < self.heap[least].time {
                least = child
            }
            guard least != parent else { return first }
            self.heap.swapAt(parent, least)
            parent = least
        }
    }
}
