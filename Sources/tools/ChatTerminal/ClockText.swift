import Bytes
internal import Glibc

/// Formats times and days in the local time zone.
struct ClockText: Sendable {
    private static let weekdays = [
        "Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday",
    ]

    /// Hours and minutes: `12:05`.
    func time(of moment: Timestamp) -> String {
        let local = Self.local(moment)
        return "\(Self.twoDigits(local.tm_hour)):\(Self.twoDigits(local.tm_min))"
    }

    /// The weekday and the date: `Saturday 2026-01-31`.
    func day(of moment: Timestamp) -> String {
        let local = Self.local(moment)
        let date =
            "\(1900 + local.tm_year)-\(Self.twoDigits(local.tm_mon + 1))"
            + "-\(Self.twoDigits(local.tm_mday))"
        return "\(Self.weekdays[Int(local.tm_wday)]) \(date)"
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
