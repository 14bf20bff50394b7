import Glibc

/// A moment until which a test waits for something that should happen at once.
public struct Deadline: Sendable {
    private let end: ContinuousClock.Instant

    /// Machines that run tests are slow at times: this is the time after which something hangs, not how long it takes. Longer than the 30 s
    /// for which Redis' sentinels decide nothing after a machine has stood still (TILT).
    public static let defaultTimeout: Duration = .seconds(60)

    public init(within time: Duration = Self.defaultTimeout) {
        self.end = .now + time
    }

    public var isExpired: Bool { .now >= self.end }

    /// What is left of it, for what waits in its turn.
    public var remaining: Duration { max(.zero, self.end - .now) }

    /// For `poll`: 0 when the time is over, and never less.
    public var milliseconds: Int32 {
        let left = self.end - .now
        let (seconds, attoseconds) = left.components
        guard seconds >= 0, attoseconds >= 0 else { return 0 }
        return Int32(clamping: seconds * 1000 + attoseconds / 1_000_000_000_000_000 + 1)
    }

    /// Asks again and again, a hundred times a second, until there is an answer.
    public static func wait<Answer>(
        for what: @autoclosure () -> String, within time: Duration = Self.defaultTimeout,
        until answer: () throws -> Answer?
    ) throws -> Answer {
        let deadline = Deadline(within: time)
        while true {
            if let answer = try answer() { return answer }
            if deadline.isExpired { throw TestFailure("waited \(time) for \(what())") }
            poll(nil, 0, 10)
        }
    }

    /// The same for a question of yes or no.
    public static func wait(
        for what: @autoclosure () -> String, within time: Duration = Self.defaultTimeout,
        untilTrue isSo: () throws -> Bool
    ) throws {
        try self.wait(for: what(), within: time) { try isSo() ? () : nil }
    }
}
