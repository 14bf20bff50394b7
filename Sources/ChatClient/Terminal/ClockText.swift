import Bytes
internal import Glibc

/// Formats times in the local time zone: the time for today, with the date for other days.
struct ClockText: Sendable {
    /// Supplies the current date.
    private let now: @Sendable () -> Timestamp

    init(now: @escaping @Sendable () -> Timestamp) {
        self.now = now
    }

    func text(of moment: Timestamp) -> String {
        let then = Self.local(moment)
        let today = Self.local(self.now())
        let hour = "\(Self.twoDigits(then.tm_hour)):\(Self.twoDigits(then.tm_min))"
        if then.tm_year == today.tm_year, then.tm_yday == today.tm_yday { return hour }
        let day = "\(Self.twoDigits(then.tm_mon + 1))-\(Self.twoDigits(then.tm_mday))"
        return then.tm_year == today.tm_year
            ? "\(day) \(hour)" : "\(1900 + then.tm_year)-\(day) \(hour)"
    }

    private static func local(_ moment: Timestamp) -> tm {
        var seconds = time_t(moment.seconds)
        var parts = tm()
        localtime_r(&seconds, &parts)
        return parts
    }

    private static func twoDigits(_ number: Int32) -> String {
        number < 10 ? "0\(number)" : "\(number)"
    }
}
