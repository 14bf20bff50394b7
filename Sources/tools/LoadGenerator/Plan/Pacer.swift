import EventLoop

/// Computes how many messages are due.
struct Pacer {
    private let pacing: LoadPlan.Pacing
    private let start: MonotonicTime
    private var published: UInt64 = 0
    /// The largest delay behind the schedule of a constant rate.
    private(set) var longestLag = Duration.zero

    init(_ pacing: LoadPlan.Pacing, from start: MonotonicTime) {
        self.pacing = pacing
        self.start = start
    }

    /// The number of messages to send now.
    ///
    /// - Parameters:
    ///   - inFlight: deliveries that have not arrived.
    ///   - deliveriesPerMessage: members of a conversation.
    func due(at now: MonotonicTime, inFlight: Int, deliveriesPerMessage: Int) -> Int {
        switch self.pacing {
        case .quiet, .closedLoop:
            return 0
        case .rate(let perSecond):
            let elapsed = max(0, now.nanoseconds - self.start.nanoseconds)
            // Seconds and remainder are multiplied separately, because the whole product would
            // overflow 64 bits after minutes.
            let (seconds, rest) = elapsed.quotientAndRemainder(dividingBy: 1_000_000_000)
            let scheduled = seconds * Int64(perSecond) + rest * Int64(perSecond) / 1_000_000_000 + 1
            return max(0, Int(scheduled - Int64(self.published)))
        case .window(let messages):
            return max(
                0,
                (messages * deliveriesPerMessage - inFlight + deliveriesPerMessage - 1)
                    / deliveriesPerMessage)
        }
    }

    /// Counts a published message.
    mutating func recordPublished(at now: MonotonicTime) {
        if case .rate(let perSecond) = self.pacing {
            let due = self.start.advanced(
                by: .nanoseconds(Int64(Double(self.published) * 1e9 / Double(perSecond))))
            self.longestLag = max(self.longestLag, now.since(due))
        }
        self.published += 1
    }
}
