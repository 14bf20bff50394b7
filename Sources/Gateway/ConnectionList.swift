/// A loop's connections, by slot.
///
/// Reading a property of an array's element copies the element, which retains every reference in
/// it. This type reads in place.
struct ConnectionList {
    private var connections: [Connection?] = []

    var indices: Range<Int> { self.connections.indices }

    subscript(slot: Int) -> Connection? {
        @inline(__always) _read { yield self.connections.span[slot] }
        @inline(__always) _modify { yield &self.connections[slot] }
    }

    /// Makes the list long enough for this slot.
    mutating func ensureSlot(_ slot: Int) {
        while self.connections.count <= slot { self.connections.append(nil) }
    }
}
