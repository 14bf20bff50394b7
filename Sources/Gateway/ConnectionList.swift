/// What a loop holds of its connections, by slot.
///
/// An array, but for one thing: what is read from an array's element is read from a copy of the element, which counts a reference for all
/// that it holds. Here it is read where it stands.
struct ConnectionList {
    private var connections: [Connection?] = []

    var indices: Range<Int> { self.connections.indices }

    subscript(slot: Int) -> Connection? {
        @inline(__always) _read { yield self.connections.span[slot] }
        @inline(__always) _modify { yield &self.connections[slot] }
    }

    /// Makes room for that slot.
    mutating func ensureSlot(_ slot: Int) {
        while self.connections.count <= slot { self.connections.append(nil) }
    }
}
