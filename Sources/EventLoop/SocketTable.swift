internal import CUV

/// One descriptor that a loop watches: 160 bytes of libuv's and 7 of ours.
struct WatchedSocket {
    enum State: UInt8 { case free, reserved, watched, closing, leaving }

    // First, so that its address is the address of the whole.
    var handle = uv_poll_t()
    /// While free: the next free slot.
    var descriptor: Int32 = -1
    var interest: UInt8 = 0
    /// Who is told of it: 0 is the loop's handler, n its n-th guest.
    var listener: UInt8 = 0
    var state = State.free

    /// The slot's token of this life, or while free of the next one. In the handle's data pointer: 8 bytes that are there anyway.
    var token: SocketToken {
        get { SocketToken(pointer: self.handle.data) }
        set { self.handle.data = newValue.pointer }
    }
}

/// The descriptors a loop watches.
///
/// libuv keeps the address of every handle, so they live in slabs, which do not move as an array does when it grows, and which are
/// never given back. What we note about a socket lies beside its handle, for the same memory is touched by the same event.
struct SocketTable {
    private static let slabBits = 8
    private static let slabMask = 255
    private static let none: Int32 = -1

    private var slabs: [UnsafeMutablePointer<WatchedSocket>] = []
    private var slotCount: UInt32 = 0
    private var firstFree = Self.none
    /// Who gets the descriptors that are leaving, by slot.
    private var takers: [UInt32: (Int32) -> Void] = [:]
    private(set) var watchedCount = 0

    /// The entry of a slot that has been given out at least once.
    subscript(slot: UInt32) -> UnsafeMutablePointer<WatchedSocket> {
        self.slabs[Int(slot) >> Self.slabBits] + (Int(slot) & Self.slabMask)
    }

    /// The entry of what is watched under the token; nil when it names nothing any more.
    func named(_ token: SocketToken) -> UnsafeMutablePointer<WatchedSocket>? {
        guard token.slot < self.slotCount else { return nil }
        let entry = self[token.slot]
        return entry.pointee.token == token && entry.pointee.state == .watched ? entry : nil
    }

    /// The entry of a token that has no descriptor yet; nil when it names none such.
    func reserved(_ token: SocketToken) -> UnsafeMutablePointer<WatchedSocket>? {
        guard token.slot < self.slotCount else { return nil }
        let entry = self[token.slot]
        return entry.pointee.token == token && entry.pointee.state == .reserved ? entry : nil
    }

    /// A token without a descriptor: `watch` gives it one, or `unreserve` takes it back.
    mutating func reserve() -> SocketToken {
        let token = self.take(-1, for: 0)
        self[token.slot].pointee.state = .reserved
        self.watchedCount -= 1
        return token
    }

    /// From here on the token names nothing; `release` frees its slot.
    mutating func giveUp(_ slot: UInt32) {
        self.watchedCount += 1
        self.retire(slot)
    }

    mutating func watch(_ descriptor: Int32, under token: SocketToken) {
        self[token.slot].pointee.descriptor = descriptor
        self[token.slot].pointee.state = .watched
        self.watchedCount += 1
    }

    /// A token for `descriptor`. Its handle is not yet libuv's.
    mutating func take(_ descriptor: Int32, for listener: UInt8) -> SocketToken {
        let slot: UInt32
        if self.firstFree != Self.none {
            slot = UInt32(self.firstFree)
            self.firstFree = self[slot].pointee.descriptor
        } else {
            slot = self.slotCount
            if Int(slot) & Self.slabMask == 0 { self.slabs.append(.allocate(capacity: Self.slabMask + 1)) }
            self.slotCount += 1
            self[slot].initialize(to: WatchedSocket())
            self[slot].pointee.token = SocketToken(slot: slot, generation: 1)
        }
        self[slot].pointee.descriptor = descriptor
        self[slot].pointee.listener = listener
        self[slot].pointee.state = .watched
        self.watchedCount += 1
        return self[slot].pointee.token
    }

    /// From here on the token names nothing. The slot stays taken until `release`, when libuv has let go of the handle.
    mutating func retire(_ slot: UInt32, taker: ((Int32) -> Void)? = nil) {
        let entry = self[slot]
        entry.pointee.token = SocketToken(slot: slot, generation: max(entry.pointee.token.generation &+ 1, 1))
        entry.pointee.state = taker == nil ? .closing : .leaving
        if let taker { self.takers[slot] = taker }
        self.watchedCount -= 1
    }

    /// Frees the slot. Answers with its descriptor, and who gets it; nil means that it is to be closed.
    mutating func release(_ slot: UInt32) -> (descriptor: Int32, taker: ((Int32) -> Void)?) {
        let entry = self[slot]
        let taker = entry.pointee.state == .leaving ? self.takers.removeValue(forKey: slot) : nil
        let descriptor = entry.pointee.descriptor
        entry.pointee.interest = 0
        entry.pointee.state = .free
        entry.pointee.descriptor = self.firstFree
        self.firstFree = Int32(slot)
        return (descriptor, taker)
    }

    /// The slots that are watched.
    var watched: [UInt32] {
        (0..<self.slotCount).filter { self[$0].pointee.state == .watched }
    }

    mutating func deallocate() {
        for slab in self.slabs { slab.deallocate() }
        self.slabs = []
    }
}
