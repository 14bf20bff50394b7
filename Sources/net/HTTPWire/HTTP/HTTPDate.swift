public import Bytes

/// A time in the format of the Date field (IMF-fixdate, RFC 9110 section 5.6.7):
/// `Sat, 31 Jan 2026 12:00:00 GMT`.
///
/// The text is the same for a whole second, so the caller keeps it and creates a new one when the
/// second is over.
public struct HTTPDate: Sendable, Hashable {
    /// Whole seconds since 1970.
    public let seconds: Int64
    public let text: String

    private static let weekdays = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"]
    private static let months = [
        "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
    ]

    /// - Parameter time: in the years 1970 to 9999.
    public init(_ time: Timestamp) {
        self.seconds = time.seconds
        let day = CivilDay(daysSince1970: Int(self.seconds / 86_400))
        let secondOfDay = Int(self.seconds % 86_400)
        var buffer = ByteBuffer(capacity: 29)
        // 1970-01-01 was a Thursday.
        buffer.append(text: Self.weekdays[day.daysSince1970 % 7])
        buffer.append(", ")
        buffer.append(zeroPadded: day.day, digits: 2)
        buffer.append(" ")
        buffer.append(text: Self.months[day.month - 1])
        buffer.append(" ")
        buffer.append(zeroPadded: day.year, digits: 4)
        buffer.append(" ")
        buffer.append(zeroPadded: secondOfDay / 3600, digits: 2)
        buffer.append(":")
        buffer.append(zeroPadded: secondOfDay / 60 % 60, digits: 2)
        buffer.append(":")
        buffer.append(zeroPadded: secondOfDay % 60, digits: 2)
        buffer.append(" GMT")
        self.text = buffer.text
    }
}
