/// Decides how long a thread rests after each slice of work, so that it works at most half of the
/// time.
///
/// Rests shorter than a millisecond are added up, because a thread cannot sleep for so short a
/// time.
public struct DutyCycle: Sendable {
    /// The rest that the work so far demands.
    private var owed = Duration.zero
    private static let shortestRest = Duration.milliseconds(1)

    public init() {}

    /// Records a slice of work.
    ///
    /// - Returns: how long to rest before the next slice; zero if the rest can wait.
    public mutating func worked(for time: Duration) -> Duration {
        self.owed += max(.zero, time)
        return self.owed < Self.shortestRest ? .zero : self.owed
    }

    /// Records a rest, or time without work. A longer rest than owed earns nothing.
    public mutating func rested(for time: Duration) {
        self.owed = max(.zero, self.owed - max(.zero, time))
    }
}
