/// The pending actions of a simulation, by its own clock. Actions of the same time keep the order
/// of insertion, after those that were postponed to it.
public struct EventQueue<Action> {
    private struct Entry {
        let time: Int64
        /// The time before it was postponed.
        let due: Int64
        let order: Int
        let action: Action

        func isBefore(_ other: Entry) -> Bool {
            (self.time, self.due, self.order) < (other.time, other.due, other.order)
        }
    }

    private var heap: [Entry] = []
    private var insertionCount = 0

    public init() {}

    public mutating func add(_ action: Action, at time: Int64) {
        self.postpone(action, from: time, to: time)
    }

    /// Moves an action from the time at which it was due to a later one.
    public mutating func postpone(_ action: Action, from due: Int64, to time: Int64) {
        self.insertionCount += 1
        self.heap.append(Entry(time: time, due: due, order: self.insertionCount, action: action))
        var child = self.heap.count - 1
        while child > 0, self.heap[child].isBefore(self.heap[(child - 1) / 2]) {
            self.heap.swapAt(child, (child - 1) / 2)
            child = (child - 1) / 2
        }
    }

    /// When the next action is due; nil if there is none.
    public var nextTime: Int64? { self.heap.first?.time }

    /// Removes and returns the next action.
    public mutating func next() -> (time: Int64, action: Action)? {
        guard let first = self.heap.first else { return nil }
        let last = self.heap.removeLast()
        if !self.heap.isEmpty {
            self.heap[0] = last
            var parent = 0
            while true {
                var least = parent
                for child in [2 * parent + 1, 2 * parent + 2]
                where child < self.heap.count && self.heap[child].isBefore(self.heap[least]) {
                    least = child
                }
                guard least != parent else { break }
                self.heap.swapAt(parent, least)
                parent = least
            }
        }
        return (first.time, first.action)
    }
}
