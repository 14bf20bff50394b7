/// Bounds how often events of one kind are logged: up to `lineLimit` lines in each period, and then
/// one line with the number of suppressed events.
///
/// Clients cause these events, so a client could otherwise fill the disk. It is a value: the caller
/// has the clock and writes the lines.
public struct LogLimiter<Kind: Hashable & Sendable>: Sendable {
    private struct Window {
        let endsAt: Int64
        var written = 0
        var suppressed = 0
    }

    private let lineLimit: Int
    private let period: Int64
    private var windows: [Kind: Window] = [:]

    /// - Parameters:
    ///   - lineLimit: how many lines each kind may have in a period.
    ///   - milliseconds: the length of a period, which begins with the first event of its kind.
    public init(lineLimit: Int, periodMilliseconds milliseconds: Int64) {
        self.lineLimit = lineLimit
        self.period = milliseconds
    }

    /// Whether the event is to be logged.
    ///
    /// - Parameter now: the time in milliseconds of any monotonic clock.
    public mutating func admit(_ kind: Kind, at now: Int64) -> Bool {
        var window = self.windows[kind] ?? Window(endsAt: now + self.period)
        let isAdmitted = window.written < self.lineLimit
        if isAdmitted { window.written += 1 } else { window.suppressed += 1 }
        self.windows[kind] = window
        return isAdmitted
    }

    /// Ends the periods that are over, and returns the kinds with suppressed events. Call it about
    /// once a second: a period lasts until then.
    public mutating func endPeriods(at now: Int64) -> [(kind: Kind, suppressed: Int)] {
        guard !self.windows.isEmpty else { return [] }
        var ended: [(kind: Kind, suppressed: Int)] = []
        for (kind, window) in self.windows where now >= window.endsAt {
            self.windows[kind] = nil
            if window.suppressed > 0 { ended.append((kind, window.suppressed)) }
        }
        return ended
    }
}
