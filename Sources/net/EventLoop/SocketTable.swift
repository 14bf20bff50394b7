import Bytes
internal import CLinux

/// The entry of one descriptor that a loop watches: 16 bytes with the fields of its slot.
struct WatchedSocket {
    enum State: UInt8 { case reserved, watched, retired }

    /// The descriptor, or -1 while the slot is reserved.
    var descriptor: Int32 = -1
    var interest = SocketInterest()
    /// The handler to notify: 0 is the loop's main handler, n is additional handler n.
    var handlerIndex: UInt8 = 0
    var state = State.reserved
}

/// The events for which a socket is watched.
struct SocketInterest: OptionSet {
    let rawValue: UInt8

    static let read = SocketInterest(rawValue: UInt8(EPOLLIN.rawValue))
    static let write = SocketInterest(rawValue: UInt8(EPOLLOUT.rawValue))

    /// The events to pass to epoll. epoll always reports errors and hang-ups. Without any interest
    /// they are requested edge-triggered, because the loop could not sleep otherwise, and with them
    /// the end of the peer's output.
    var events: UInt32 {
        self.isEmpty ? EPOLLET.rawValue | EPOLLRDHUP.rawValue : UInt32(self.rawValue)
    }
}

/// The descriptors that a loop watches, by slot.
struct SocketTable {
    private var sockets = SlotList<SocketToken, WatchedSocket>(vacant: WatchedSocket())
    /// Slots whose tokens are not valid any more, with the receiver of the descriptor. Without a
    /// receiver, the descriptor is closed.
    private var retired: [(slot: UInt32, receiver: ((Int32) -> Void)?)] = []
    private(set) var watchedCount = 0

    /// The entry of a slot that has been used at least once.
    subscript(slot: UInt32) -> WatchedSocket {
        @inline(__always) get { self.sockets[slot] }
        @inline(__always) _modify { yield &self.sockets[slot] }
    }

    /// Whether the token is valid. That of a retired slot is not.
    @inline(__always)
    func contains(_ token: SocketToken) -> Bool { self.sockets.contains(token) }

    /// Whether the token is valid and its slot is in this state.
    @inline(__always)
    func contains(_ token: SocketToken, in state: WatchedSocket.State) -> Bool {
        self.contains(token) && self[token.slot].state == state
    }

    /// Reserves a slot without a descriptor. `watch` assigns one.
    mutating func reserve() -> SocketToken { self.sockets.insert(WatchedSocket()) }

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
        self.sockets.invalidateKey(of: slot)
        self[slot].state = .retired
        self.retired.append((slot, receiver))
    }

    /// Frees a retired slot and returns its descriptor (-1 if it never had one) and its receiver.
    /// Returns nil if no retired slot is left.
    mutating func popRetired() -> (descriptor: Int32, receiver: ((Int32) -> Void)?)? {
        guard let (slot, receiver) = self.retired.popLast() else { return nil }
        return (self.sockets.free(slot).descriptor, receiver)
    }

    /// The token of a slot that is not free.
    func token(of slot: UInt32) -> SocketToken { self.sockets.key(of: slot) }

    /// The slots that are watched or reserved.
    var occupiedSlots: [UInt32] {
        self.sockets.occupiedSlots.filter { self[$0].state != .retired }
    }
}
