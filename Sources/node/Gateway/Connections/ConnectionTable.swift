import Bytes
import EventLoop

/// The fields of every connection that a broadcast reads or writes, in adjacent small structs.
///
/// A broadcast records for each recipient which of the turn's frames it gets. That takes two
/// nanoseconds, no reference count and no allocation. At the end of the turn each recipient gets
/// all of its frames in one write.
struct ConnectionTable {
    struct Hot {
        var descriptor: Int32 = -1
        /// The generation of the slot's connection; see `SocketToken`. 0 if the slot is free.
        var generation: UInt32 = 0
        /// The number of the connection's first frame in this turn, and how many consecutive frames
        /// follow. If its frames are linked, these are the numbers of its first and last link.
        var firstFrame: UInt32 = 0
        var frameCount: UInt32 = 0
        /// Unsent bytes of earlier turns, without paced frames.
        var pendingBytes: Int32 = 0
        var user = UserTable.noUser
        /// When the connection was last active, in ticks of the loop.
        var lastReceivedTick: UInt32 = 0
        var flags: Flags = []
    }

    struct Flags: OptionSet {
        let rawValue: UInt8
        /// Frames may be queued.
        static let isOpen = Flags(rawValue: 1)
        /// Bytes of earlier turns are unsent.
        static let hasBacklog = Flags(rawValue: 2)
        /// The connection's frames of this turn are not consecutive, so they are in a linked list.
        static let isLinked = Flags(rawValue: 4)
        static let isTLS = Flags(rawValue: 8)
        /// The connection closes when every frame is sent.
        static let isClosing = Flags(rawValue: 16)
        /// The connection has no socket: its frames wait for a poll.
        static let isPolling = Flags(rawValue: 32)
        /// Packets wait for a poll.
        static let hasUnpolledPackets = Flags(rawValue: 64)
        /// Nothing is written: the response to the upgrade, in the backlog, waits for the session's
        /// entry.
        static let isHeld = Flags(rawValue: 128)
        /// A frame has not reached the client's socket.
        static let isBehind: Flags = [.hasBacklog, .hasUnpolledPackets]

        /// The node has sent its last frame or response, or is about to.
        var isClosing: Bool { self.intersection([.isOpen, .isClosing]) != .isOpen }
    }

    var hot: [Hot] = []
    /// The connections with frames in this turn.
    private(set) var dirty: [UInt32] = []
    /// The turn's frames.
    private(set) var frames: [SharedFrame] = []
    /// The linked lists of all connections whose frames are not consecutive. Links are numbered
    /// from 1.
    private(set) var links: [FrameLink] = []

    /// One frame of a connection, and the number of the connection's next link; 0 for none.
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

    /// Whether the token's connection is open.
    func isOpen(_ token: SocketToken) -> Bool {
        Int(token.slot) < self.hot.count && self.hot[Int(token.slot)].generation == token.generation
    }

    /// Adds a frame to the turn and returns its number, for `queue`.
    mutating func add(_ frame: SharedFrame) -> UInt32 {
        self.frames.append(frame)
        return UInt32(self.frames.count - 1)
    }

    /// The bytes of one of the turn's frames. The table retains them until the end of the turn, so
    /// that no recipient counts a reference.
    func bytes(of frame: Int) -> UnsafeRawBufferPointer { self.frames[frame].withBytes { $0 } }

    /// Whether the connection has one frame in this turn, no unsent bytes and no TLS.
    ///
    /// Nearly all writes are of this kind, and they touch only the hot fields.
    func hasSinglePlainFrame(_ slot: Int) -> Bool {
        self.hot[slot].flags == .isOpen && self.hot[slot].frameCount == 1
    }

    /// Whether the connection has frames in this turn, no unsent bytes and no TLS.
    func hasPlainFrames(_ slot: Int) -> Bool {
        self.hot[slot].flags.subtracting(.isLinked) == .isOpen && self.hot[slot].frameCount > 0
    }

    /// Queues one of the turn's frames for one connection.
    mutating func queue(_ frame: UInt32, to slot: UInt32) {
        let index = Int(slot)
        guard self.hot[index].flags.contains(.isOpen) else { return }
        if self.hot[index].frameCount == 0 {
            self.hot[index].firstFrame = frame
            self.hot[index].frameCount = 1
            self.dirty.append(slot)
        } else if self.hot[index].firstFrame &+ self.hot[index].frameCount == frame,
            !self.hot[index].flags.contains(.isLinked)
        {
            self.hot[index].frameCount &+= 1
        } else {
            self.queueLinked(frame, to: slot)
        }
    }

    private mutating func queueLinked(_ frame: UInt32, to slot: UInt32) {
        let index = Int(slot)
        if !self.hot[index].flags.contains(.isLinked) {
            self.hot[index].flags.insert(.isLinked)
            let run =
                self.hot[index].firstFrame..<self.hot[index].firstFrame + self.hot[index].frameCount
            self.hot[index].firstFrame = UInt32(self.links.count + 1)
            for number in run {
                self.links.append(FrameLink(frame: number, next: UInt32(self.links.count + 2)))
            }
        } else {
            self.links[Int(self.hot[index].frameCount) - 1].next = UInt32(self.links.count + 1)
        }
        self.links.append(FrameLink(frame: frame))
        self.hot[index].frameCount = UInt32(self.links.count)
    }

    /// Which of many connections get a frame. Users are identified by their numbers.
    enum Recipients: Equatable {
        case all
        case allExceptUser(UInt32)
        case onlyUser(UInt32)
        case allExceptConnection(UInt32)
    }

    /// Queues one of the turn's frames for many connections, except those with more pending bytes
    /// than the limit.
    ///
    /// - Returns: how many connections were skipped because of the limit.
    mutating func broadcast(
        _ frame: UInt32, to slots: [UInt32], _ recipients: Recipients = .all,
        unlessPendingAbove limit: Int = .max
    )
        -> Int
    {
        switch recipients {
        case .all where limit == .max:
            // By index, here and in every loop over all subscribers. In a debug build nothing is
            // specialised, so that an iterator allocates for each element, and the test that counts
            // allocations runs there.
            var index = 0
            while index < slots.count {
                self.queue(frame, to: slots[index])
                index &+= 1
            }
            return 0
        case .all:
            return self.broadcast(frame, to: slots, unlessPendingAbove: limit) { _, _ in true }
        case .allExceptUser(let user):
            return self.broadcast(frame, to: slots, unlessPendingAbove: limit) { other, _ in
                other != user
            }
        case .onlyUser(let user):
            return self.broadcast(frame, to: slots, unlessPendingAbove: limit) { other, _ in
                other == user
            }
        case .allExceptConnection(let slot):
            return self.broadcast(frame, to: slots, unlessPendingAbove: limit) { _, other in
                other != slot
            }
        }
    }

    @inline(__always)
    private mutating func broadcast(
        _ frame: UInt32, to slots: [UInt32], unlessPendingAbove limit: Int,
        _ includes: (_ user: UInt32, _ slot: UInt32) -> Bool
    )
        -> Int
    {
        var skipped = 0
        var index = 0
        while index < slots.count {
            let slot = slots[index]
            index &+= 1
            guard includes(self.hot[Int(slot)].user, slot) else { continue }
            if Int(self.hot[Int(slot)].pendingBytes) > limit {
                skipped += 1
            } else {
                self.queue(frame, to: slot)
            }
        }
        return skipped
    }

    /// Removes and returns the connection's frames of this turn.
    mutating func dequeueFrames(of slot: UInt32) -> TurnFrames {
        let index = Int(slot)
        defer {
            self.hot[index].frameCount = 0
            self.hot[index].flags.remove(.isLinked)
        }
        if self.hot[index].flags.contains(.isLinked) {
            return .chain(first: self.hot[index].firstFrame)
        }
        return .run(
            self.hot[index].firstFrame..<self.hot[index].firstFrame + self.hot[index].frameCount)
    }

    enum TurnFrames {
        case run(Range<UInt32>)
        /// The list that begins with this link; 0 for an empty list.
        case chain(first: UInt32)
    }

    /// Removes the next frame and returns its number; nil if there is none.
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

    /// Copies the frames, one after the other, into a buffer of exactly their size.
    func copy(_ frames: TurnFrames, into buffer: UnsafeMutableRawBufferPointer) {
        var (frames, index) = (frames, 0)
        while let number = self.next(of: &frames) {
            self.frames[number].withBytes {
                UnsafeMutableRawBufferPointer(rebasing: buffer[index...]).copyMemory(from: $0)
                index += $0.count
            }
        }
    }

    var isDirty: Bool { !self.dirty.isEmpty }

    mutating func drainDirty(into list: inout [UInt32]) {
        list.clear(keepingCapacityUpTo: .max)
        swap(&list, &self.dirty)
    }

    /// Ends the turn. Backlogs retain the unsent frames themselves.
    mutating func endTurn() {
        self.frames.clear()
        self.links.clear()
    }
}
