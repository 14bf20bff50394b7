/// Timers in one value. Connections use it directly, tables through `SlotTimers`.
///
/// Four hierarchical wheels of 64 slots (Varghese and Lauck, "Hashed and Hierarchical Timing
/// Wheels", 1987). Setting and firing cost the same for any number of timers.
///
/// Timers cannot be cancelled or moved. A connection records the time of its last activity. When
/// its timer fires, the owner compares that time and sets the next timer. A timer of a closed
/// connection is recognised by its generation. So a frame causes no timer work, and each connection
/// has one entry of 16 bytes.
///
/// The entries are no `SlotList`: an entry has no key, and the link to the next timer is also the
/// link to the next free entry.
public struct TimerWheel: Sendable {
    /// The owner of a timer: an index and a generation as in a `SlotKey`, or other numbers of the
    /// caller's choice.
    public struct Entry: Sendable, Hashable {
        public let index: UInt32
        public let generation: UInt32

        public init(index: UInt32, generation: UInt32) {
            self.index = index
            self.generation = generation
        }
    }

    private struct TimerNode {
        var entry: Entry
        var tick: UInt32
        var next: UInt32
    }

    private static let slotBits: UInt32 = 6
    private static let slotMask: UInt32 = 63
    private static let levelCount: UInt32 = 4
    private static let noNode = UInt32.max
    /// The number of ticks that the wheels cover. A timer further away stays on the outermost wheel
    /// and is inserted again.
    private static let horizon: UInt32 = 1 << (slotBits * levelCount)

    private var nodes: [TimerNode] = []
    private var firstFree = Self.noNode
    private var slots = [UInt32](repeating: Self.noNode, count: 256)
    /// The number of timers on each wheel.
    private var levelCounts = [0, 0, 0, 0]

    /// The current tick. All timers up to it have fired.
    public private(set) var tick: UInt32
    /// The number of timers that are set.
    public private(set) var count = 0

    /// Creates an empty wheel at `tick`. The caller chooses the unit. Ticks wrap around: a tick
    /// more than half of their range ahead is past. Ticks of 100 ms wrap after 13 years.
    public init(tick: UInt32 = 0) {
        self.tick = tick
    }

    /// Sets a timer for `tick`. `advance(to:into:)` then returns it. A tick in the past means the
    /// next tick.
    public mutating func schedule(_ index: UInt32, generation: UInt32, at tick: UInt32) {
        let node = TimerNode(
            entry: Entry(index: index, generation: generation),
            tick: self.isAhead(tick) ? tick : self.tick &+ 1, next: Self.noNode)
        let position: UInt32
        if self.firstFree != Self.noNode {
            position = self.firstFree
            self.firstFree = self.nodes[Int(position)].next
            self.nodes[Int(position)] = node
        } else {
            position = UInt32(self.nodes.count)
            self.nodes.append(node)
        }
        self.count += 1
        self.link(position)
    }

    /// Advances to `tick` and appends all timers that are due, ordered by tick. Timers of the same
    /// tick are in no particular order.
    public mutating func advance(to tick: UInt32, into expired: inout [Entry]) {
        while self.isAhead(tick) {
            if self.count == 0 {
                self.tick = tick
                return
            }
            self.tick &+= min(self.nextBusyTick &- self.tick, tick &- self.tick)
            self.cascadeOuterWheels()
            self.fire(slot: Int(self.tick & Self.slotMask), into: &expired)
        }
    }

    private func isAhead(_ tick: UInt32) -> Bool { Int32(bitPattern: tick &- self.tick) > 0 }

    /// The next tick of the innermost wheel. If inner wheels are empty, the next tick at which the
    /// first non-empty wheel advances.
    private var nextBusyTick: UInt32 {
        var level: UInt32 = 0
        while level < Self.levelCount - 1, self.levelCounts[Int(level)] == 0 { level += 1 }
        return (self.tick >> (Self.slotBits * level) &+ 1) << (Self.slotBits * level)
    }

    /// When an inner wheel starts a new round, distributes the next slot of the wheel outside it.
    private mutating func cascadeOuterWheels() {
        for level in 1..<Self.levelCount {
            guard self.tick & ((1 << (Self.slotBits * level)) - 1) == 0 else { return }
            let slot = Int(
                level << Self.slotBits | (self.tick >> (Self.slotBits * level)) & Self.slotMask)
            var position = self.slots[slot]
            self.slots[slot] = Self.noNode
            while position != Self.noNode {
                let next = self.nodes[Int(position)].next
                self.levelCounts[Int(level)] -= 1
                self.link(position)
                position = next
            }
        }
    }

    private mutating func fire(slot: Int, into expired: inout [Entry]) {
        var position = self.slots[slot]
        self.slots[slot] = Self.noNode
        while position != Self.noNode {
            let node = self.nodes[Int(position)]
            expired.append(node.entry)
            self.nodes[Int(position)].next = self.firstFree
            self.firstFree = position
            self.levelCounts[0] -= 1
            self.count -= 1
            position = node.next
        }
    }

    private mutating func link(_ position: UInt32) {
        let distance = self.nodes[Int(position)].tick &- self.tick
        let tick =
            distance < Self.horizon
            ? self.nodes[Int(position)].tick : self.tick &+ (Self.horizon - 1)
        var level: UInt32 = 0
        while min(distance, Self.horizon - 1) >> (Self.slotBits * (level + 1)) != 0 { level += 1 }
        let slot = Int(level << Self.slotBits | (tick >> (Self.slotBits * level)) & Self.slotMask)
        self.levelCounts[Int(level)] += 1
        self.nodes[Int(position)].next = self.slots[slot]
        self.slots[slot] = position
    }
}
