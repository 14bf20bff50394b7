import Bytes
import EventLoop

/// What the way of a message touches of every connection, in small structs side by side.
///
/// A broadcast notes, for each listener, which of the turn's frames it gets: two nanoseconds, no reference, no
/// allocation. At the end of the turn each listener gets all of its frames in one write.
struct ConnectionTable {
    struct Hot {
        var descriptor: Int32 = -1
        /// Whose slot it is: see `SocketToken`. 0 is nobody's.
        var generation: UInt32 = 0
        /// The turn's frames that this connection gets: so many from this one on. Where they do not follow each other, its first and
        /// its last link.
        var firstFrame: UInt32 = 0
        var frameCount: UInt32 = 0
        /// Unsent bytes of earlier turns, without those that are paced.
        var pendingBytes: Int32 = 0
        var user = UserTable.noUser
        /// When something was last heard, in ticks of the loop.
        var lastReceivedTick: UInt32 = 0
        var flags: Flags = []
    }

    struct Flags: OptionSet {
        let rawValue: UInt8
        /// Frames may be queued.
        static let isOpen = Flags(rawValue: 1)
        /// There are unsent bytes of earlier turns.
        static let hasBacklog = Flags(rawValue: 2)
        /// The turn's frames for this connection do not follow each other: they hang on links.
        static let isLinked = Flags(rawValue: 4)
        static let isTLS = Flags(rawValue: 8)
        /// It closes when everything has left.
        static let isClosing = Flags(rawValue: 16)
        /// There is no socket: what is written waits for a poll.
        static let isPolling = Flags(rawValue: 32)
        /// What was written has not been polled yet.
        static let hasUnpolledPackets = Flags(rawValue: 64)
        /// Something that was written has not reached the client's socket.
        static let isBehind: Flags = [.hasBacklog, .hasUnpolledPackets]
    }

    var hot: [Hot] = []
    /// Connections that got a frame in this turn.
    private(set) var dirty: [UInt32] = []
    /// The turn's frames.
    private(set) var frames: [SharedFrame] = []
    /// Of all connections whose frames of the turn do not follow each other. The first is number 1.
    private(set) var links: [FrameLink] = []

    /// One frame of a connection, and the link of its next one; 0 for none.
    struct FrameLink {
        let frame: UInt32
        var next: UInt32 = 0
    }

    mutating func open(_ token: SocketToken, descriptor: Int32, isTLS: Bool, at tick: UInt32) {
        let slot = Int(token.slot)
        while self.hot.count <= slot { self.hot.append(Hot()) }
        self.hot[slot] = Hot()
        self.hot[slot].descriptor = descriptor
        self.hot[slot].generation = token.generation
        self.hot[slot].lastReceivedTick = tick
        self.hot[slot].flags = isTLS ? [.isOpen, .isTLS] : .isOpen
    }

    mutating func close(_ slot: Int) {
        self.hot[slot].flags = []
        self.hot[slot].descriptor = -1
        self.hot[slot].generation = 0
        self.hot[slot].user = UserTable.noUser
        self.hot[slot].frameCount = 0
    }

    /// Whether what the token names is there.
    func isOpen(_ token: SocketToken) -> Bool {
        Int(token.slot) < self.hot.count && self.hot[Int(token.slot)].generation == token.generation
    }

    /// A frame for somebody in this turn; its number is given to `queue`.
    mutating func add(_ frame: SharedFrame) -> UInt32 {
        self.frames.append(frame)
        return UInt32(self.frames.count - 1)
    }

    /// The bytes of one of the turn's frames, which the table holds until the turn's end: no listener counts a reference for them.
    func bytes(of frame: Int) -> UnsafeRawBufferPointer { self.frames[frame].withBytes { $0 } }

    /// Nearly all writes are of this kind: the turn's only frame of a connection that has nothing unsent and no TLS. Nothing but the hot
    /// struct is touched for it.
    func hasSinglePlainFrame(_ slot: Int) -> Bool {
        self.hot[slot].flags == .isOpen && self.hot[slot].frameCount == 1
    }

    /// The same, but for the number of its frames.
    func hasPlainFrames(_ slot: Int) -> Bool {
        self.hot[slot].flags.subtracting(.isLinked) == .isOpen && self.hot[slot].frameCount > 0
    }

    /// One of the turn's frames goes to one connection.
    mutating func queue(_ frame: UInt32, to slot: UInt32) {
        let place = Int(slot)
        guard self.hot[place].flags.contains(.isOpen) else { return }
        if self.hot[place].frameCount == 0 {
            self.hot[place].firstFrame = frame
            self.hot[place].frameCount = 1
            self.dirty.append(slot)
        } else if self.hot[place].firstFrame &+ self.hot[place].frameCount == frame,
            !self.hot[place].flags.contains(.isLinked)
        {
            self.hot[place].frameCount &+= 1
        } else {
            self.queueLinked(frame, to: slot)
        }
    }

    private mutating func queueLinked(_ frame: UInt32, to slot: UInt32) {
        let place = Int(slot)
        if !self.hot[place].flags.contains(.isLinked) {
            self.hot[place].flags.insert(.isLinked)
            let run =
                self.hot[place].firstFrame..<self.hot[place].firstFrame + self.hot[place].frameCount
            self.hot[place].firstFrame = UInt32(self.links.count + 1)
            for number in run {
                self.links.append(FrameLink(frame: number, next: UInt32(self.links.count + 2)))
            }
        } else {
            self.links[Int(self.hot[place].frameCount) - 1].next = UInt32(self.links.count + 1)
        }
        self.links.append(FrameLink(frame: frame))
        self.hot[place].frameCount = UInt32(self.links.count)
    }

    /// Who of many gets a frame, users by their numbers.
    enum Recipients: Equatable {
        case all
        case allExceptUser(UInt32)
        case onlyUser(UInt32)
        /// All but this connection.
        case allExceptConnection(UInt32)
    }

    /// One of the turn's frames goes to many, but not to those who have more pending than that.
    ///
    /// - Returns: how many were left out because they are behind.
    mutating func broadcast(
        _ frame: UInt32, to members: [UInt32], _ audience: Recipients = .all,
        unlessPendingAbove limit: Int = .max
    )
        -> Int
    {
        switch audience {
        case .all where limit == .max:
            // By place, here and wherever all listeners are gone through: where nothing is specialised, in a debug build, an
            // iterator allocates for every element, and the test that counts allocations runs there.
            var place = 0
            while place < members.count {
                self.queue(frame, to: members[place])
                place &+= 1
            }
            return 0
        case .all:
            return self.broadcast(frame, to: members, unlessPendingAbove: limit) { _, _ in true }
        case .allExceptUser(let user):
            return self.broadcast(frame, to: members, unlessPendingAbove: limit) { other, _ in
                other != user
            }
        case .onlyUser(let user):
            return self.broadcast(frame, to: members, unlessPendingAbove: limit) { other, _ in
                other == user
            }
        case .allExceptConnection(let slot):
            return self.broadcast(frame, to: members, unlessPendingAbove: limit) { _, other in
                other != slot
            }
        }
    }

    @inline(__always)
    private mutating func broadcast(
        _ frame: UInt32, to members: [UInt32], unlessPendingAbove limit: Int,
        _ concerns: (_ user: UInt32, _ slot: UInt32) -> Bool
    )
        -> Int
    {
        var left = 0
        var place = 0
        while place < members.count {
            let member = members[place]
            place &+= 1
            guard concerns(self.hot[Int(member)].user, member) else { continue }
            if Int(self.hot[Int(member)].pendingBytes) > limit {
                left += 1
            } else {
                self.queue(frame, to: member)
            }
        }
        return left
    }

    /// The turn's frames of one connection, forgotten with this.
    mutating func dequeueFrames(of slot: UInt32) -> TurnFrames {
        let place = Int(slot)
        defer {
            self.hot[place].frameCount = 0
            self.hot[place].flags.remove(.isLinked)
        }
        if self.hot[place].flags.contains(.isLinked) {
            return .chain(first: self.hot[place].firstFrame)
        }
        return .run(
            self.hot[place].firstFrame..<self.hot[place].firstFrame + self.hot[place].frameCount)
    }

    enum TurnFrames {
        case run(Range<UInt32>)
        /// From that link on; 0 for none.
        case chain(first: UInt32)
    }

    /// The number of the next frame, taken off; nil when there are no more.
    func next(of frames: inout TurnFrames) -> Int? {
        switch frames {
        case .run(let range):
            guard !range.isEmpty else { return nil }
            frames = .run(range.lowerBound + 1..<range.upperBound)
            return Int(range.lowerBound)
        case .chain(first: 0): return nil
        case .chain(let first):
            let link = self.links[Int(first) - 1]
            frames = .chain(first: link.next)
            return Int(link.frame)
        }
    }

    func byteCount(of frames: TurnFrames) -> Int {
        var (frames, count) = (frames, 0)
        while let number = self.next(of: &frames) { count += self.frames[number].count }
        return count
    }

    /// Copies the frames, one after the other, to a place that is as large as they are.
    func copy(_ frames: TurnFrames, into room: UnsafeMutableRawBufferPointer) {
        var (frames, place) = (frames, 0)
        while let number = self.next(of: &frames) {
            self.frames[number].withBytes {
                UnsafeMutableRawBufferPointer(rebasing: room[place...]).copyMemory(from: $0)
                place += $0.count
            }
        }
    }

    var isDirty: Bool { !self.dirty.isEmpty }

    mutating func drainDirty(into list: inout [UInt32]) {
        list.clear(keepingCapacityUpTo: .max)
        swap(&list, &self.dirty)
    }

    /// The turn is over; what is still unsent holds its frames itself.
    mutating func endTurn() {
        self.frames.clear()
        self.links.clear()
    }
}
