/// Formats numbers with a fixed number of decimal places, because the standard library cannot.
enum FixedPoint {
    /// Rounds to `places` decimal places, at most 6; `groups` inserts commas between thousands.
    static func text(_ value: Double, places: Int, groups: Bool = false) -> String {
        var scale: Double = 1
        for _ in 0..<places { scale *= 10 }
        let scaled = (value.magnitude * scale).rounded()
        guard scaled.isFinite, scaled < 9e18 else { return "0" }
        let units = UInt64(scaled)
        let (whole, fraction) = units.quotientAndRemainder(dividingBy: UInt64(scale))
        var text = groups ? self.grouped(whole) : String(whole)
        if places > 0 {
            let digits = String(fraction)
            text += "." + String(repeating: "0", count: places - digits.utf8.count) + digits
        }
        return value < 0 && units > 0 ? "-" + text : text
    }

    static func grouped(_ number: UInt64) -> String {
        var text = ""
        for (index, digit) in String(number).reversed().enumerated() {
            if index > 0, index % 3 == 0 { text.append(",") }
            text.append(digit)
        }
        return String(text.reversed())
    }
}
