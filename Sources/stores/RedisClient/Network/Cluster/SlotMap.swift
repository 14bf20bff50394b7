/// The assignment of slots to masters, as one cluster node reports it.
struct SlotMap: Equatable {
    private(set) var masters: [RedisEndpoint] = []
    /// They can answer CLUSTER SLOTS too.
    private(set) var replicas: [RedisEndpoint] = []
    /// By slot, the index in `masters`, or `noOwner`.
    private var owners = [UInt16](repeating: Self.noOwner, count: Int(RedisSlot.count))
    private var ownedCount = 0

    private static let noOwner = UInt16.max

    init() {}

    /// Reads the reply to CLUSTER SLOTS. Each range has its first and last slot, the master and the
    /// replicas; each node has host, port and more.
    ///
    /// - Parameter endpoint: of the node that replied. A node may not know its own address.
    init?(_ reply: RedisReply, from endpoint: RedisEndpoint) {
        guard reply.kind == .array else { return nil }
        for range in reply.elements {
            var parts = range.elements
            guard let first = parts.next()?.integer, let last = parts.next()?.integer,
                (0...last).contains(first), last < RedisSlot.count,
                let master = parts.next().flatMap({ Self.endpoint($0, endpoint) })
            else { return nil }
            let owner = self.index(of: master)
            for slot in Int(first)...Int(last) { self.assign(slot, to: owner) }
            while let node = parts.next() {
                if let replica = Self.endpoint(node, endpoint), !self.replicas.contains(replica) {
                    self.replicas.append(replica)
                }
            }
        }
    }

    private static func endpoint(_ node: RedisReply, _ endpoint: RedisEndpoint) -> RedisEndpoint? {
        guard let host = node[0], let port = node[1]?.integer, port > 0, port <= UInt16.max else {
            return nil
        }
        return RedisEndpoint(
            host: host.bytes.isEmpty ? endpoint.host : host.string, port: UInt16(port))
    }

    var isEmpty: Bool { self.masters.isEmpty }
    /// Whether every slot has a master.
    var isComplete: Bool { self.ownedCount == Int(RedisSlot.count) }

    /// The index in `masters` of the slot's owner; nil without one.
    func owner(of slot: RedisSlot) -> Int? {
        guard slot != .any else { return nil }
        let owner = self.owners[Int(slot.number)]
        return owner == Self.noOwner ? nil : Int(owner)
    }

    /// The first slot of each master, in the order of `masters`.
    var firstSlots: [RedisSlot] {
        self.masters.indices.compactMap { master in
            self.owners.firstIndex(of: UInt16(master)).map { RedisSlot(UInt16($0)) }
        }
    }

    /// Applies a MOVED reply.
    mutating func move(_ slot: RedisSlot, to endpoint: RedisEndpoint) {
        self.assign(Int(slot.number), to: self.index(of: endpoint))
    }

    /// The index in `masters`, to which an unknown master is added.
    private mutating func index(of master: RedisEndpoint) -> UInt16 {
        if let known = self.masters.firstIndex(of: master) { return UInt16(known) }
        self.masters.append(master)
        return UInt16(self.masters.count - 1)
    }

    private mutating func assign(_ slot: Int, to owner: UInt16) {
        if self.owners[slot] == Self.noOwner { self.ownedCount += 1 }
        self.owners[slot] = owner
    }
}
