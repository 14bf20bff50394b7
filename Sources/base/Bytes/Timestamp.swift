/// A point in time: milliseconds since 1970-01-01T00:00:00Z, without leap seconds.
public struct Timestamp: Sendable, Hashable, Comparable {
    public var milliseconds: Int64

    public init(milliseconds: Int64) {
        self.milliseconds = milliseconds
    }

    public static func < (left: Timestamp, right: Timestamp) -> Bool {
        left.milliseconds < right.milliseconds
    }

    /// Whole seconds, rounded down.
    public var seconds: Int64 {
        let (quotient, remainder) = self.milliseconds.quotientAndRemainder(dividingBy: 1000)
        return remainder < 0 ? quotient - 1 : quotient
    }

    /// The RFC 3339 form in UTC with milliseconds: `2026-01-31T12:00:00.123Z`.
    public var text: String {
        var buffer = ByteBuffer(capacity: 24)
        buffer.append(timestamp: self)
        return buffer.text
    }
}

extension Timestamp {
    /// How long a guest token is valid, and how long an absent guest's place in an open
    /// conversation is its own, in milliseconds.
    public static let guestLifetime: Int64 = 3_600_000
}

extension ByteBuffer {
    /// Appends the RFC 3339 form in UTC with milliseconds, for the years 0 to 9999.
    public mutating func append(timestamp: Timestamp) {
        let day = CivilDay(daysSince1970: Int(timestamp.seconds.flooredDivision(by: 86_400)))
        let secondOfDay = Int(timestamp.seconds - Int64(day.daysSince1970) * 86_400)
        let millisecond = Int(timestamp.milliseconds - timestamp.seconds * 1000)
        // Every message contains one or two timestamps. The digits therefore overwrite a template
        // in place, two at a time.
        let start = self.bytes.count
        self.append("0000-00-00T00:00:00.000Z")
        self.bytes.withUnsafeMutableBytes { bytes in
            let text = UnsafeMutableRawBufferPointer(rebasing: bytes[start...])
            text.put(twoDigits: day.year / 100, at: 0)
            text.put(twoDigits: day.year % 100, at: 2)
            text.put(twoDigits: day.month, at: 5)
            text.put(twoDigits: day.day, at: 8)
            text.put(twoDigits: secondOfDay / 3600, at: 11)
            text.put(twoDigits: secondOfDay / 60 % 60, at: 14)
            text.put(twoDigits: secondOfDay % 60, at: 17)
            text.put(twoDigits: millisecond / 10, at: 20)
            text[22] = 0x30 + UInt8(truncatingIfNeeded: millisecond % 10)
        }
    }

    /// Appends the last `digits` digits of the number, padded with zeros.
    public mutating func append(zeroPadded number: Int, digits: Int) {
        for _ in 0..<digits { self.bytes.append(0x30) }
        var remaining = UInt(truncatingIfNeeded: number)
        var position = self.bytes.count
        for _ in 0..<digits {
            position -= 1
            self.bytes[position] = 0x30 + UInt8(truncatingIfNeeded: remaining % 10)
            remaining /= 10
        }
    }
}

extension UnsafeMutableRawBufferPointer {
    /// Stores a number below 100 as two digits.
    @inline(__always)
    fileprivate func put(twoDigits number: Int, at position: Int) {
        let number = UInt16(truncatingIfNeeded: number)
        // Exact for numbers below 179, and faster than a division.
        let tens = ((number &* 205) >> 11) & 15
        let ones = number &- tens &* 10
        self.storeBytes(
            of: (0x3030 | tens | (ones << 8)).littleEndian, toByteOffset: position, as: UInt16.self)
    }
}

/// A day of the Gregorian calendar in UTC.
///
/// The arithmetic is Howard Hinnant's `days_from_civil` and `civil_from_days`
/// (https://howardhinnant.github.io/date_algorithms.html): eras of 400 years that begin in March.
public struct CivilDay: Sendable, Equatable {
    public let year: Int
    public let month: Int
    public let day: Int
    public let daysSince1970: Int

    public init(daysSince1970: Int) {
        let shifted = daysSince1970 + 719_468
        let era = Int(Int64(shifted).flooredDivision(by: 146_097))
        let dayOfEra = shifted - era * 146_097
        let yearOfEra = (dayOfEra - dayOfEra / 1460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
        let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
        let marchMonth = (5 * dayOfYear + 2) / 153
        self.day = dayOfYear - (153 * marchMonth + 2) / 5 + 1
        self.month = marchMonth < 10 ? marchMonth + 3 : marchMonth - 9
        self.year = yearOfEra + era * 400 + (self.month <= 2 ? 1 : 0)
        self.daysSince1970 = daysSince1970
    }

    /// Returns nil for a day that does not exist (month 13, 30 February).
    public init?(year: Int, month: Int, day: Int) {
        guard (0...9999).contains(year), (1...12).contains(month), (1...31).contains(day) else {
            return nil
        }
        let marchYear = month <= 2 ? year - 1 : year
        let era = Int(Int64(marchYear).flooredDivision(by: 400))
        let yearOfEra = marchYear - era * 400
        let dayOfYear = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1
        let dayOfEra = yearOfEra * 365 + yearOfEra / 4 - yearOfEra / 100 + dayOfYear
        let candidate = CivilDay(daysSince1970: era * 146_097 + dayOfEra - 719_468)
        guard candidate.month == month, candidate.day == day else { return nil }
        self = candidate
    }
}

extension Int64 {
    /// The quotient rounded towards minus infinity.
    func flooredDivision(by divisor: Int64) -> Int64 {
        let (quotient, remainder) = self.quotientAndRemainder(dividingBy: divisor)
        return remainder < 0 ? quotient - 1 : quotient
    }
}
