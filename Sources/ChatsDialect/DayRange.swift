import Bytes

/// The days of which messages are wanted, in UTC, the first and the last included.
struct DayRange: Equatable, Sendable {
    var first: CivilDay?
    var last: CivilDay?

    private static let millisecondsPerDay: Int64 = 86_400_000

    /// Whether a moment is before all of them, so that nothing older is among them.
    func startsAfter(_ moment: Timestamp) -> Bool {
        self.first.map { moment.milliseconds < Int64($0.daysSince1970) * Self.millisecondsPerDay }
            ?? false
    }

    func endsBefore(_ moment: Timestamp) -> Bool {
        self.last.map {
            moment.milliseconds >= Int64($0.daysSince1970 + 1) * Self.millisecondsPerDay
        } ?? false
    }

    /// A day, or a word for one, seen from now; nil where it is neither.
    static func firstDay(_ text: String, at now: Timestamp) -> CivilDay? {
        let today = Self.dayNumber(of: now)
        return switch text {
        case "yesterday": CivilDay(daysSince1970: today - 1)
        case "day_before_yesterday": CivilDay(daysSince1970: today - 2)
        case "last_7_days": CivilDay(daysSince1970: today - 7)
        default: Self.parseDay(text)
        }
    }

    /// `YYYY-MM-DD`, and nothing else.
    static func parseDay(_ text: String) -> CivilDay? {
        let parts = text.split(separator: "-", omittingEmptySubsequences: false)
        guard parts.map(\.utf8.count) == [4, 2, 2],
            parts.allSatisfy({ $0.utf8.allSatisfy { (0x30...0x39).contains($0) } }),
            let year = Int(parts[0]), let month = Int(parts[1]), let day = Int(parts[2])
        else { return nil }
        return CivilDay(year: year, month: month, day: day)
    }

    private static func dayNumber(of moment: Timestamp) -> Int {
        Int((Double(moment.seconds) / 86_400).rounded(.down))
    }
}
