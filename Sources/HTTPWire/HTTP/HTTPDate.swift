public import Bytes

/// A moment as the Date field has it (IMF-fixdate, RFC 9110 section 5.6.7): `Sat, 31 Jan 2026 12:00:00 GMT`.
///
/// It is the same for a whole second: kept by who writes responses, and made again when the second is over.
public struct HTTPDate: Sendable, Hashable {
    /// Whole seconds since 1970.
    public let seconds: Int64
    public let text: String

    private static let weekdays = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"]
    private static let months = [
        "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
    ]

    /// - Parameter moment: in the years 1970 to 9999.
    public init(_ moment: Timestamp) {
        self.seconds = moment.seconds
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
