internal import CLinux

/// One descriptor that a loop watches, in 12 bytes.
struct WatchedSocket {
    enum State: UInt8 { case free, reserved, watched, retired }

    /// -1 while reserved. While free: the next free slot.
    var descriptor: Int32
    /// That of this life's token, or while free of the next one's. At least 1: nothing that is watched has a token of zeros.
    var generation: UInt32 = 1
    var interest = SocketInterest()
    /// Who is told of it: 0 is the loop's handler, n its n-th guest.
    var handlerIndex: UInt8 = 0
    var state = State.free
}

/// What a socket is watched for.
struct SocketInterest: OptionSet {
    let rawValue: UInt8

    static let read = SocketInterest(rawValue: UInt8(EPOLLIN.rawValue))
    static let write = SocketInterest(rawValue: UInt8(EPOLLOUT.rawValue))

    /// What epoll is told. It reports errors and hang-ups whatever it is asked for: who wants nothing is told of those at their edge
    /// only, else the loop could not sleep.
    var events: UInt32 { self.isEmpty ? EPOLLET.rawValue : UInt32(self.rawValue) }
}

/// The descriptors a loop watches, by slot.
struct SocketTable {
    private static let noSlot: Int32 = -1

    private var entries: [WatchedSocket] = []
    private var firstFree = Self.noSlot
    /// Slots whose tokens name nothing any more, and who gets the descriptor: nil means that it is to be closed.
    private var retired: [(slot: UInt32, taker: ((Int32) -> Void)?)] = []
    private(set) var watchedCount = 0

    /// The entry of a slot that has been given out at least once.
    subscript(slot: UInt32) -> WatchedSocket {
        @inline(__always) get { self.entries[Int(slot)] }
        @inline(__always) _modify { yield &self.entries[Int(slot)] }
    }

    /// Whether the token still names something: what is retired has another generation, and that of a free slot was never given out.
    @inline(__always)
    func contains(_ token: SocketToken) -> Bool {
        token.slot < self.entries.count && self[token.slot].generation == token.generation
    }

    /// Whether the token still names something in that state.
    @inline(__always)
    func contains(_ token: SocketToken, in state: WatchedSocket.State) -> Bool {
        self.contains(token) && self[token.slot].state == state
    }

    /// A token without a descriptor: `watch` gives it one.
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

    /// From here on the token names nothing. The slot stays taken until `popRetired`, so that nobody else is meant by what is on its way.
    mutating func retire(_ slot: UInt32, receiver taker: ((Int32) -> Void)? = nil) {
        if self[slot].state == .watched { self.watchedCount -= 1 }
        self[slot].generation = max(self[slot].generation &+ 1, 1)
        self[slot].state = .retired
        self.retired.append((slot, taker))
    }

    /// Frees a slot that was retired. Answers with its descriptor, -1 if it never had one, and who gets it; nil when there is none left.
    mutating func popRetired() -> (descriptor: Int32, taker: ((Int32) -> Void)?)? {
        guard let (slot, taker) = self.retired.popLast() else { return nil }
        let descriptor = self[slot].descriptor
        self[slot].state = .free
        self[slot].descriptor = self.firstFree
        self.firstFree = Int32(slot)
        return (descriptor, taker)
    }

    /// The slots that are watched or reserved.
    var occupiedSlots: [UInt32] {
        (0..<UInt32(self.entries.count)).filter {
            self[$0].state == .watched || self[$0].state == .reserved
        }
    }
}
