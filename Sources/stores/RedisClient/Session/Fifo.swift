/// A first-in, first-out queue in a ring that grows when it is full.
struct Fifo<Element> {
    private var ring: [Element?] = Array(repeating: nil, count: 16)
    private var head = 0
    private(set) var count = 0

    // The memory of a burst is released when the queue is empty again.
    private static var retainedCapacity: Int { 8192 }

    var isEmpty: Bool { self.count == 0 }
    var first: Element? { self.count == 0 ? nil : self.ring[self.head] }

    /// The element at this distance from the first.
    subscript(index: Int) -> Element {
        get { self.ring[(self.head + index) & (self.ring.count - 1)]! }
        set { self.ring[(self.head + index) & (self.ring.count - 1)] = newValue }
    }

    mutating func append(_ element: Element) {
        if self.count == self.ring.count { self.grow() }
        self.ring[(self.head + self.count) & (self.ring.count - 1)] = element
        self.count += 1
    }

    mutating func popFirst() -> Element? {
        guard self.count > 0 else { return nil }
        defer { if self.count == 0, self.ring.count > Self.retainedCapacity { self = Fifo() } }
        self.count -= 1
        defer { self.head = (self.head + 1) & (self.ring.count - 1) }
        return self.ring[self.head].take()
    }

    private mutating func grow() {
        var larger: [Element?] = []
        larger.reserveCapacity(self.ring.count * 2)
        for index in 0..<self.count {
            larger.append(self.ring[(self.head + index) & (self.ring.count - 1)])
        }
        larger.append(contentsOf: repeatElement(nil, count: self.ring.count * 2 - self.count))
        self.ring = larger
        self.head = 0
    }
}
