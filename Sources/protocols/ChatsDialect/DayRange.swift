import Bytes

/// The requested days of messages, in UTC, including the first and the last.
struct DayRange: Equatable, Sendable {
    var first: CivilDay?
    var last: CivilDay?

    private static let millisecondsPerDay: Int64 = 86_400_000

    /// Whether a time is before the first day, so that no older message is in range.
    func startsAfter(_ time: Timestamp) -> Bool {
        self.first.map { time.milliseconds < Int64($0.daysSince1970) * Self.millisecondsPerDay }
            ?? false
    }

    func endsBefore(_ time: Timestamp) -> Bool {
        self.last.map {
            time.milliseconds >= Int64($0.daysSince1970 + 1) * Self.millisecondsPerDay
        } ?? false
    }

    /// Parses a day, or a name of a day relative to now; nil if it is neither.
    static func firstDay(_ text: String, at now: Timestamp) -> CivilDay? {
        let today = Self.dayNumber(of: now)
        return switch text {
        case "yesterday": CivilDay(daysSince1970: today - 1)
        case "day_before_yesterday": CivilDay(daysSince1970: today - 2)
        case "last_7_days": CivilDay(daysSince1970: today - 7)
        default: Self.parseDay(text)
        }
    }

    /// Parses `YYYY-MM-DD` and nothing else.
    static func parseDay(_ text: String) -> CivilDay? {
        let parts = text.split(separator: "-", omittingEmptySubsequences: false)
        guard parts.map(\.utf8.count) == [4, 2, 2],
            parts.allSatisfy({ $0.utf8.allSatisfy { (0x30...0x39).contains($0) } }),
            let year = Int(parts[0]), let month = Int(parts[1]), let day = Int(parts[2])
        else { return nil }
        return CivilDay(year: year, month: month, day: day)
    }

    private static func dayNumber(of time: Timestamp) -> Int {
        Int((Double(time.seconds) / 86_400).rounded(.down))
    }
}
