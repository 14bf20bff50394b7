internal import CUV

/// The descriptors a loop watches: 160 bytes of libuv's and 12 of ours for each.
struct SocketTable {
    enum State: UInt8 { case free, watched, closing, leaving }

    struct Slot {
        var generation: UInt32
        var descriptor: Int32
        var interest: UInt8 = 0
        var state = State.free
    }

    // Handles must not move while libuv knows them, so they live in slabs that are never given back.
    private static let slabBits = 8
    private static let slabMask = 255

    private var slabs: [UnsafeMutablePointer<uv_poll_t>] = []
    private var slots: [Slot] = []
    private var free: [UInt32] = []
    /// Who gets the descriptors that are leaving, by slot.
    private var takers: [UInt32: (Int32) -> Void] = [:]
    private(set) var watchedCount = 0

    func handle(_ slot: UInt32) -> UnsafeMutablePointer<uv_poll_t> {
        self.slabs[Int(slot) >> Self.slabBits] + (Int(slot) & Self.slabMask)
    }

    /// Whether the token names a watched descriptor.
    func names(_ token: SocketToken) -> Bool {
        let index = Int(token.slot)
        return index < self.slots.count && self.slots[index].generation == token.generation && self.slots[index].state == .watched
    }

    func descriptor(_ slot: UInt32) -> Int32 { self.slots[Int(slot)].descriptor }
    func interest(_ slot: UInt32) -> UInt8 { self.slots[Int(slot)].interest }
    mutating func note(interest: UInt8, of slot: UInt32) { self.slots[Int(slot)].interest = interest }

    /// A token for `descriptor`. Its handle is not yet libuv's.
    mutating func take(_ descriptor: Int32) -> SocketToken {
        let slot: UInt32
        if let last = self.free.popLast() {
            slot = last
        } else {
            slot = UInt32(self.slots.count)
            if self.slots.count & Self.slabMask == 0 { self.slabs.append(.allocate(capacity: Self.slabMask + 1)) }
            self.slots.append(Slot(generation: 1, descriptor: -1))
        }
        let generation = self.slots[Int(slot)].generation
        self.slots[Int(slot)] = Slot(generation: generation, descriptor: descriptor, state: .watched)
        self.watchedCount += 1
        return SocketToken(slot: slot, generation: generation)
    }

    /// From here on the token names nothing. The slot stays taken until `release`, when libuv has let go of the handle.
    mutating func retire(_ slot: UInt32, taker: ((Int32) -> Void)? = nil) {
        let index = Int(slot)
        self.slots[index].generation = max(self.slots[index].generation &+ 1, 1)
        self.slots[index].state = taker == nil ? .closing : .leaving
        if let taker { self.takers[slot] = taker }
        self.watchedCount -= 1
    }

    /// Frees the slot. Answers with its descriptor, and who gets it; nil means that it is to be closed.
    mutating func release(_ slot: UInt32) -> (descriptor: Int32, taker: ((Int32) -> Void)?) {
        let index = Int(slot)
        let taker = self.slots[index].state == .leaving ? self.takers.removeValue(forKey: slot) : nil
        let descriptor = self.slots[index].descriptor
        self.slots[index].descriptor = -1
        self.slots[index].interest = 0
        self.slots[index].state = .free
        self.free.append(slot)
        return (descriptor, taker)
    }

    /// The slots that are watched.
    var watched: [UInt32] {
        self.slots.indices.filter { self.slots[$0].state == .watched }.map(UInt32.init)
    }

    mutating func deallocate() {
        for slab in self.slabs { slab.deallocate() }
        self.slabs = []
    }
}
