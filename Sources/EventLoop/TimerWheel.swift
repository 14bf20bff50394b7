/// Timers of a whole loop in one value: who is to be looked at, and at which tick.
///
/// Four hierarchical wheels of 64 slots (Varghese and Lauck, "Hashed and Hierarchical Timing Wheels", 1987): setting and firing
/// cost the same however many there are. There is no cancelling and no moving: a connection notes when it was last heard, and its
/// owner looks at that note when the timer fires and sets the next one. A timer that fires for somebody long gone is recognised
/// by its generation. So a frame costs no timer work, and there is one entry of 16 bytes for each connection.
public struct TimerWheel: Sendable {
    /// Whose timer it is: an index and generation as in `SocketToken`, or whatever else the owner counts.
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
    /// Ticks that the wheels reach; what is further away waits on the outermost wheel and goes round again.
    private static let horizon: UInt32 = 1 << (slotBits * levelCount)

    private var nodes: [TimerNode] = []
    private var firstFree = Self.noNode
    private var slots = [UInt32](repeating: Self.noNode, count: 256)
    /// How many timers hang on each wheel.
    private var levelCounts = [0, 0, 0, 0]

    /// The tick up to which everything has fired.
    public private(set) var tick: UInt32
    /// How many timers are set.
    public private(set) var count = 0

    /// An empty wheel at `tick`. Ticks are the owner's unit; at 100 ms they last for 13 years.
    public init(tick: UInt32 = 0) {
        self.tick = tick
    }

    /// Lets `index` with `generation` come out of `advance(to:into:)` when the wheel reaches `tick`; the past means the next tick.
    public mutating func schedule(_ index: UInt32, generation: UInt32, at tick: UInt32) {
        let node = TimerNode(
            entry: Entry(index: index, generation: generation), tick: max(tick, self.tick + 1),
            next: Self.noNode)
        let place: UInt32
        if self.firstFree != Self.noNode {
            place = self.firstFree
            self.firstFree = self.nodes[Int(place)].next
            self.nodes[Int(place)] = node
        } else {
            place = UInt32(self.nodes.count)
            self.nodes.append(node)
        }
        self.count += 1
        self.link(place)
    }

    /// Appends everything that is due at `tick` or before, in the order of the ticks; of one tick in any order.
    public mutating func advance(to tick: UInt32, into expired: inout [Entry]) {
        while self.tick < tick {
            if self.count == 0 {
                self.tick = tick
                return
            }
            self.tick = min(self.nextBusyTick, tick)
            self.cascadeOuterWheels()
            self.fire(slot: Int(self.tick & Self.slotMask), into: &expired)
        }
    }

    /// The next tick, or where only outer wheels hold anything, the one at which the innermost of those turns.
    private var nextBusyTick: UInt32 {
        var level: UInt32 = 0
        while level < Self.levelCount - 1, self.levelCounts[Int(level)] == 0 { level += 1 }
        return (self.tick >> (Self.slotBits * level) + 1) << (Self.slotBits * level)
    }

    /// Where an inner wheel begins a new round, the next slot of the wheel outside it is spread over it.
    private mutating func cascadeOuterWheels() {
        for level in 1..<Self.levelCount {
            guard self.tick & ((1 << (Self.slotBits * level)) - 1) == 0 else { return }
            let slot = Int(
                level << Self.slotBits | (self.tick >> (Self.slotBits * level)) & Self.slotMask)
            var place = self.slots[slot]
            self.slots[slot] = Self.noNode
            while place != Self.noNode {
                let next = self.nodes[Int(place)].next
                self.levelCounts[Int(level)] -= 1
                self.link(place)
                place = next
            }
        }
    }

    private mutating func fire(slot: Int, into expired: inout [Entry]) {
        var place = self.slots[slot]
        self.slots[slot] = Self.noNode
        while place != Self.noNode {
            let node = self.nodes[Int(place)]
            expired.append(node.entry)
            self.nodes[Int(place)].next = self.firstFree
            self.firstFree = place
            self.levelCounts[0] -= 1
            self.count -= 1
            place = node.next
        }
    }

    private mutating func link(_ place: UInt32) {
        let distance = self.nodes[Int(place)].tick - self.tick
        let tick =
            distance < Self.horizon ? self.nodes[Int(place)].tick : self.tick + Self.horizon - 1
        var level: UInt32 = 0
        while min(distance, Self.horizon - 1) >> (Self.slotBits * (level + 1)) != 0 { level += 1 }
        let slot = Int(level << Self.slotBits | (tick >> (Self.slotBits * level)) & Self.slotMask)
        self.levelCounts[Int(level)] += 1
        self.nodes[Int(place)].next = self.slots[slot]
        self.slots[slot] = place
    }
}
