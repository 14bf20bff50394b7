import EventLoop

/// Says how many messages are due.
struct Pacer {
    private let pacing: LoadPlan.Pacing
    private let start: MonotonicTime
    private var published: UInt64 = 0
    /// How far the schedule of an even rate was missed at most.
    private(set) var longestLag = Duration.zero

    init(_ pacing: LoadPlan.Pacing, from start: MonotonicTime) {
        self.pacing = pacing
        self.start = start
    }

    /// How many messages may leave.
    ///
    /// - Parameters:
    ///   - onTheWay: deliveries that have not arrived.
    ///   - deliveriesPerMessage: members of a conversation.
    func due(at now: MonotonicTime, inFlight onTheWay: Int, deliveriesPerMessage: Int) -> Int {
        switch self.pacing {
        case .quiet, .closedLoop:
            return 0
        case .rate(let perSecond):
            let elapsed = max(0, now.nanoseconds - self.start.nanoseconds)
            // In whole seconds and the rest, for the product of both would leave 64 bits after minutes.
            let (seconds, rest) = elapsed.quotientAndRemainder(dividingBy: 1_000_000_000)
            let scheduled = seconds * Int64(perSecond) + rest * Int64(perSecond) / 1_000_000_000 + 1
            return max(0, Int(scheduled - Int64(self.published)))
        case .window(let messages):
            return max(
                0,
                (messages * deliveriesPerMessage - onTheWay + deliveriesPerMessage - 1)
                    / deliveriesPerMessage)
        }
    }

    /// A message has left.
    mutating func recordPublished(at now: MonotonicTime) {
        if case .rate(let perSecond) = self.pacing {
            let due = self.start.advanced(
                by: .nanoseconds(Int64(Double(self.published) * 1e9 / Double(perSecond))))
            self.longestLag = max(self.longestLag, now.since(due))
        }
        self.published += 1
    }
}
