import Glibc

/// The end of the time that a test waits for an event.
public struct Deadline: Sendable {
    private let end: ContinuousClock.Instant

    /// The time after which an event counts as missing. It is generous, because test machines can
    /// be slow. It exceeds the 30 s during which Redis sentinels make no decision after a pause of
    /// the machine (TILT mode).
    public static let defaultTimeout: Duration = .seconds(60)

    /// The time in which a program must end that computes, and has little of a busy processor.
    public static let programTimeout: Duration = .seconds(300)

    public init(within time: Duration = Self.defaultTimeout) {
        OwnThreads.expectOwn()
        self.end = .now + time
    }

    public var isExpired: Bool { .now >= self.end }

    /// The time that is left, for the timeout of a further wait.
    public var remaining: Duration { max(.zero, self.end - .now) }

    /// The timeout for `poll`: 0 after the deadline, and never negative.
    public var milliseconds: Int32 {
        let left = self.end - .now
        let (seconds, attoseconds) = left.components
        guard seconds >= 0, attoseconds >= 0 else { return 0 }
        return Int32(clamping: seconds * 1000 + attoseconds / 1_000_000_000_000_000 + 1)
    }

    /// Polls 100 times per second until `answer` returns a value.
    public static func wait<Answer>(
        for description: @autoclosure () -> String, within time: Duration = Self.defaultTimeout,
        until answer: () throws -> Answer?
    ) throws -> Answer {
        let deadline = Deadline(within: time)
        while true {
            if let answer = try answer() { return answer }
            if deadline.isExpired { throw TestFailure("waited \(time) for \(description())") }
            poll(nil, 0, 10)
        }
    }

    /// Asks a hundred times per second until there is an answer.
    ///
    /// The answer may come from a task, which gets a thread only after the tasks of all tests that
    /// were started before. So the limit is that of a program.
    public static func waitAsync<Answer>(
        for description: @autoclosure () -> String, until answer: () async throws -> Answer?
    ) async throws -> Answer {
        let deadline = Deadline(within: Self.programTimeout)
        while true {
            if let answer = try await answer() { return answer }
            if deadline.isExpired {
                throw TestFailure("waited \(Self.programTimeout) for \(description())")
            }
            try await Task.sleep(for: .milliseconds(10))
        }
    }

    /// Polls until the condition is true.
    public static func wait(
        for description: @autoclosure () -> String, within time: Duration = Self.defaultTimeout,
        untilTrue condition: () throws -> Bool
    ) throws {
        try self.wait(for: description(), within: time) { try condition() ? () : nil }
    }

    /// Gives an order until the condition is true. An order that was accepted, for which `order`
    /// returns true, may be given up later, so it is repeated after `pause`.
    static func wait(
        for description: @autoclosure () -> String, repeatedAfter pause: Duration,
        order: () throws -> Bool, untilTrue condition: () throws -> Bool
    ) throws {
        var attempt = Deadline(within: .zero)
        try self.wait(
            for: description(),
            untilTrue: {
                if try condition() { return true }
                if attempt.isExpired, try order() { attempt = Deadline(within: pause) }
                return false
            })
    }
}
