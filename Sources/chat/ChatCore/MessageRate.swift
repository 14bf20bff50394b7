/// The messages per second of one conversation, over the last ten seconds.
///
/// It counts in windows of ten seconds and weighs the previous window by the share that is still
/// within the last ten seconds. A message costs one comparison and one addition, and a busy owner
/// measures nothing.
struct MessageRate: Sendable {
    private static let windowMilliseconds: Int64 = 10_000

    private var window: UInt32 = 0
    private var count: UInt32 = 0
    private var previousCount: UInt32 = 0

    /// - Parameter now: a monotonic millisecond.
    mutating func record(at now: Int64) {
        let window = UInt32(truncatingIfNeeded: now / Self.windowMilliseconds)
        if window != self.window {
            self.previousCount = window == self.window &+ 1 ? self.count : 0
            self.count = 0
            self.window = window
        }
        self.count &+= 1
    }

    /// - Parameter now: a monotonic millisecond.
    func perSecond(at now: Int64) -> Double {
        let window = UInt32(truncatingIfNeeded: now / Self.windowMilliseconds)
        let share =
            1 - Double(now % Self.windowMilliseconds) / Double(Self.windowMilliseconds)
        let counted =
            switch window {
            case self.window: Double(self.count) + Double(self.previousCount) * share
            case self.window &+ 1: Double(self.count) * share
            default: 0.0
            }
        return counted / (Double(Self.windowMilliseconds) / 1000)
    }
}
