/// Which master has which slots, as a node of the cluster says it.
struct SlotMap: Equatable {
    private(set) var masters: [RedisEndpoint] = []
    /// They know the slots too.
    private(set) var replicas: [RedisEndpoint] = []
    /// By slot the place in `masters`, or `nobody`.
    private var owners = [UInt16](repeating: Self.noOwner, count: Int(RedisSlot.count))
    private var ownedCount = 0

    private static let noOwner = UInt16.max

    init() {}

    /// Reads the answer to CLUSTER SLOTS: for each range its first and last slot, the master and the replicas, each as host, port, and more.
    ///
    /// - Parameter place: of the node that answers. It may not know its own address.
    init?(_ reply: RedisReply, from place: RedisEndpoint) {
        guard reply.kind == .array else { return nil }
        for range in reply.elements {
            var parts = range.elements
            guard let first = parts.next()?.integer, let last = parts.next()?.integer,
                (0...last).contains(first), last < RedisSlot.count,
                let master = parts.next().flatMap({ Self.endpoint($0, place) })
            else { return nil }
            for slot in first...last { self.assign(Int(slot), to: master) }
            while let node = parts.next() {
                if let replica = Self.endpoint(node, place), !self.replicas.contains(replica) {
                    self.replicas.append(replica)
                }
            }
        }
    }

    private static func endpoint(_ node: RedisReply, _ place: RedisEndpoint) -> RedisEndpoint? {
        guard let host = node[0], let port = node[1]?.integer, port > 0, port <= UInt16.max else {
            return nil
        }
        return RedisEndpoint(
            host: host.bytes.isEmpty ? place.host : host.string, port: UInt16(port))
    }

    var isEmpty: Bool { self.masters.isEmpty }
    /// Whether every slot has a master.
    var isComplete: Bool { self.ownedCount == Int(RedisSlot.count) }

    /// The place in `masters` of the one that has a slot; nil where nobody has.
    func owner(of slot: RedisSlot) -> Int? {
        guard slot != .any else { return nil }
        let owner = self.owners[Int(slot.number)]
        return owner == Self.noOwner ? nil : Int(owner)
    }

    /// One slot of each master, in their order.
    var firstSlots: [RedisSlot] {
        self.masters.indices.compactMap { master in
            self.owners.firstIndex(of: UInt16(master)).map { RedisSlot(UInt16($0)) }
        }
    }

    /// A server says that a slot is elsewhere.
    mutating func move(_ slot: RedisSlot, to place: RedisEndpoint) {
        self.assign(Int(slot.number), to: place)
    }

    private mutating func assign(_ slot: Int, to place: RedisEndpoint) {
        if self.owners[slot] == Self.noOwner { self.ownedCount += 1 }
        if let known = self.masters.firstIndex(of: place) {
            self.owners[slot] = UInt16(known)
        } else {
            self.owners[slot] = UInt16(self.masters.count)
            self.masters.append(place)
        }
    }
}
