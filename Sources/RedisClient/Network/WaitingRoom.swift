/// Commands whose slot has no master that is known, or whose server has put them off; in their order.
///
/// Asked before each command of a cluster, and while the cluster is not known there may be many thousands.
struct WaitingRoom {
    private(set) var parcels: [Parcel] = []
    private(set) var byteCount = 0
    private var counts: [RedisSlot: Int] = [:]

    var isEmpty: Bool { self.parcels.isEmpty }
    var count: Int { self.parcels.count }

    /// Whether anything of a slot waits: nothing goes before it.
    func has(_ slot: RedisSlot) -> Bool {
        !self.parcels.isEmpty && self.counts[slot] != nil
    }

    mutating func append(_ parcel: Parcel) {
        self.parcels.append(parcel)
        self.byteCount += parcel.bytes.count
        self.counts[parcel.slot, default: 0] += 1
    }

    mutating func append(contentsOf parcels: [Parcel]) {
        for parcel in parcels { self.append(parcel) }
    }

    /// Takes everything out; what goes on waiting is to be put in again.
    mutating func takeAll() -> [Parcel] {
        defer { self = WaitingRoom() }
        return self.parcels
    }
}
