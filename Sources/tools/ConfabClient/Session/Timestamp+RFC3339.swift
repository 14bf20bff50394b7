import Bytes

extension Timestamp {
    /// Parses a time as Confab's servers write it, in UTC: `2026-01-31T12:00:00.123Z`, with or
    /// without the fraction.
    init?(rfc3339 text: String) {
        let parts = text.utf8.split(whereSeparator: { !(0x30...0x39).contains($0) }).map {
            String(decoding: $0, as: UTF8.self)
        }
        guard text.hasSuffix("Z"), parts.count == 6 || parts.count == 7 else { return nil }
        let numbers = parts.prefix(6).compactMap { Int($0) }
        guard numbers.count == 6,
            let day = CivilDay(year: numbers[0], month: numbers[1], day: numbers[2]),
            numbers[3] < 24, numbers[4] < 60, numbers[5] <= 60
        else { return nil }
        let seconds = day.daysSince1970 * 86_400 + numbers[3] * 3600 + numbers[4] * 60 + numbers[5]
        let fraction = parts.count == 7 ? Int((parts[6] + "00").prefix(3)) ?? 0 : 0
        self.init(milliseconds: Int64(seconds) * 1000 + Int64(fraction))
    }
}
