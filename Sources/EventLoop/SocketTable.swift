internal import CLinux

/// The entry of one descriptor that a loop watches, in 12 bytes.
struct WatchedSocket {
    enum State: UInt8 { case free, reserved, watched, retired }

    /// The descriptor, or -1 while the slot is reserved. In a free slot: the next free slot.
    var descriptor: Int32
    /// The generation of the current token, or of the next one while the slot is free. At least 1,
    /// so a token whose bits are all 0 is never valid.
    var generation: UInt32 = 1
    var interest = SocketInterest()
    /// The handler to notify: 0 is the loop's main handler, n is additional handler n.
    var handlerIndex: UInt8 = 0
    var state = State.free
}

/// The events for which a socket is watched.
struct SocketInterest: OptionSet {
    let rawValue: UInt8

    static let read = SocketInterest(rawValue: UInt8(EPOLLIN.rawValue))
    static let write = SocketInterest(rawValue: UInt8(EPOLLOUT.rawValue))

    /// The events to pass to epoll. epoll always reports errors and hang-ups. Without any interest
    /// they are requested edge-triggered, because the loop could not sleep otherwise.
    var events: UInt32 { self.isEmpty ? EPOLLET.rawValue : UInt32(self.rawValue) }
}

/// The descriptors that a loop watches, by slot.
struct SocketTable {
    private static let noSlot: Int32 = -1

    private var entries: [WatchedSocket] = []
    private var firstFree = Self.noSlot
    /// Slots whose tokens are not valid any more, with the receiver of the descriptor. Without a
    /// receiver, the descriptor is closed.
    private var retired: [(slot: UInt32, receiver: ((Int32) -> Void)?)] = []
    private(set) var watchedCount = 0

    /// The entry of a slot that has been used at least once.
    subscript(slot: UInt32) -> WatchedSocket {
        @inline(__always) get { self.entries[Int(slot)] }
        @inline(__always) _modify { yield &self.entries[Int(slot)] }
    }

    /// Whether the token is valid. A retired slot has a new generation, and the generation of a
    /// free slot has not been issued yet.
    @inline(__always)
    func contains(_ token: SocketToken) -> Bool {
        token.slot < self.entries.count && self[token.slot].generation == token.generation
    }

    /// Whether the token is valid and its slot is in this state.
    @inline(__always)
    func contains(_ token: SocketToken, in state: WatchedSocket.State) -> Bool {
        self.contains(token) && self[token.slot].state == state
    }

    /// Reserves a slot without a descriptor. `watch` assigns one.
    mutating func reserve() -> SocketToken {
        let slot: UInt32
        if self.firstFree != Self.noSlot {
            slot = UInt32(self.firstFree)
            self.firstFree = self[slot].descriptor
        } else {
            slot = UInt32(self.entries.count)
            self.entries.append(WatchedSocket(descriptor: -1))
        }
        self[slot].descriptor = -1
        self[slot].interest = []
        self[slot].handlerIndex = 0
        self[slot].state = .reserved
        return SocketToken(slot: slot, generation: self[slot].generation)
    }

    mutating func watch(_ descriptor: Int32, under token: SocketToken, for interest: SocketInterest)
    {
        self[token.slot].descriptor = descriptor
        self[token.slot].interest = interest
        self[token.slot].state = .watched
        self.watchedCount += 1
    }

    /// Invalidates the token. The slot is not reused before `popRetired`, so that pending events
    /// cannot refer to another socket.
    mutating func retire(_ slot: UInt32, receiver: ((Int32) -> Void)? = nil) {
        if self[slot].state == .watched { self.watchedCount -= 1 }
        self[slot].generation = max(self[slot].generation &+ 1, 1)
        self[slot].state = .retired
        self.retired.append((slot, receiver))
    }

    /// Frees a retired slot and returns its descriptor (-1 if it never had one) and its receiver.
    /// Returns nil if no retired slot is left.
    mutating func popRetired() -> (descriptor: Int32, receiver: ((Int32) -> Void)?)? {
        guard let (slot, receiver) = self.retired.popLast() else { return nil }
        let descriptor = self[slot].descriptor
        self[slot].state = .free
        self[slot].descriptor = self.firstFree
        self.firstFree = Int32(slot)
        return (descriptor, receiver)
    }

    /// The slots that are watched or reserved.
    var occupiedSlots: [UInt32] {
        (0..<UInt32(self.entries.count)).filter {
            self[$0].state == .watched || self[$0].state == .reserved
        }
    }
}
