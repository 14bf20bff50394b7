/// A loop's connections, by the slot of their token.
struct ConnectionList: Sequence {
    private var connections: [Connection?] = []

    /// The connection in a slot; nil if the slot is free.
    subscript(slot: UInt32) -> Connection? {
        Int(slot) < self.connections.count ? self.connections[Int(slot)] : nil
    }

    mutating func insert(_ connection: Connection) {
        while self.connections.count <= connection.slot { self.connections.append(nil) }
        self.connections[connection.slot] = connection
    }

    mutating func remove(_ connection: Connection) {
        self.connections[connection.slot] = nil
    }

    func makeIterator() -> some IteratorProtocol<Connection> {
        self.connections.lazy.compactMap { $0 }.makeIterator()
    }
}
