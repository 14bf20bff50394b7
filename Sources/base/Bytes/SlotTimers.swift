/// Timers of the slots of a table, in milliseconds of the monotonic clock.
///
/// A slot has one timer, which is neither moved nor cancelled. Setting a later time has no
/// effect, so requests that follow one another in a slot cost one comparison each. A timer
/// can therefore fire early, or for a slot that is free by then: the caller compares its own time
/// and sets the next timer.
public struct SlotTimers: Sendable {
    private var wheel = TimerWheel()
    /// The time of each slot's timer, or `noTimer`.
    private var times: [Int64] = []
    /// The end of the last tick that was processed.
    private var processedThrough: Int64 = 0
    private let millisecondsPerTick: Int64
    /// A timer that is further ahead fires early.
    private let reach: Int64

    private static let noTimer = Int64.max

    /// - Parameter millisecondsPerTick: a timer fires late by less than this.
    public init(millisecondsPerTick: Int64) {
        self.millisecondsPerTick = millisecondsPerTick
        self.reach = millisecondsPerTick << 30
    }

    /// Sets the slot's timer, unless it has an earlier one. A time in the past means the next tick.
    public mutating func schedule(_ slot: UInt32, at time: Int64) {
        while self.times.count <= Int(slot) { self.times.append(Self.noTimer) }
        let time = min(max(time, self.processedThrough + 1), self.processedThrough + self.reach)
        guard time < self.times[Int(slot)] else { return }
        self.times[Int(slot)] = time
        let tick = self.tick(at: time)
        self.wheel.schedule(slot, generation: tick, at: tick)
    }

    /// Removes the timers that are due, and returns their slots in the order of their ticks.
    public mutating func takeDue(at time: Int64) -> [UInt32] {
        let last = time - time % self.millisecondsPerTick
        var expired: [TimerWheel.Entry] = []
        while self.processedThrough < last {
            self.processedThrough = min(last, self.processedThrough + self.reach)
            self.wheel.advance(to: self.tick(at: self.processedThrough), into: &expired)
        }
        var due: [UInt32] = []
        for entry in expired {
            let time = self.times[Int(entry.index)]
            // An entry of another tick is outdated: an earlier timer replaced it, and fired.
            guard time != Self.noTimer, self.tick(at: time) == entry.generation else { continue }
            self.times[Int(entry.index)] = Self.noTimer
            due.append(entry.index)
        }
        return due
    }

    /// The tick that ends at this time, or after it.
    private func tick(at time: Int64) -> UInt32 {
        UInt32(
            truncatingIfNeeded: (time + self.millisecondsPerTick - 1) / self.millisecondsPerTick)
    }
}
