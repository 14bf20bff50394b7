import Configuration

/// Formats values for people.
enum Formatting {
    /// `512 B`, `1.5 KiB`, `38 MiB`.
    static func bytes(_ number: Double) -> String {
        var number = number
        for unit in ["B", "KiB", "MiB", "GiB"] {
            if number < 1024 {
                let rounded = String(Int(number.rounded()))
                return "\(number < 10 ? OperatorText.decimal(number) : rounded) \(unit)"
            }
            number /= 1024
        }
        return "\(OperatorText.decimal(number)) TiB"
    }

    /// The two highest units: `14s`, `3m 20s`, `2d 4h`.
    static func time(_ seconds: Int) -> String {
        let parts = [
            (seconds / 86_400, "d"), (seconds / 3600 % 24, "h"), (seconds / 60 % 60, "m"),
            (seconds % 60, "s"),
        ]
        guard let first = parts.firstIndex(where: { $0.0 > 0 }) else { return "0s" }
        return parts[first..<min(first + 2, 4)].filter { $0.0 > 0 }.map { "\($0.0)\($0.1)" }.joined(
            separator: " ")
    }

    /// Escapes everything that could move a terminal's cursor or change the writing direction.
    static func escaped(_ text: String) -> String {
        guard text.unicodeScalars.contains(where: self.isUnsafe) else { return text }
        return text.unicodeScalars.map { scalar in
            guard self.isUnsafe(scalar) else { return String(scalar) }
            return scalar == "\n"
                ? "\\n" : scalar == "\t" ? "\\t" : "\\u{\(String(scalar.value, radix: 16))}"
        }.joined()
    }

    /// The same for CSV and JSON on a terminal: line feeds stay, and the escapes are those of JSON.
    static func escapedDocument(_ text: String) -> String {
        func isEscaped(_ scalar: Unicode.Scalar) -> Bool { scalar != "\n" && isUnsafe(scalar) }
        guard text.unicodeScalars.contains(where: isEscaped) else { return text }
        return text.unicodeScalars.map { scalar in
            guard isEscaped(scalar) else { return String(scalar) }
            return UTF16.encode(scalar)!.map { unit in
                let digits = String(unit, radix: 16)
                return "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
            }.joined()
        }.joined()
    }

    private static func isUnsafe(_ scalar: Unicode.Scalar) -> Bool {
        switch scalar.properties.generalCategory {
        case .control, .lineSeparator, .paragraphSeparator: true
        // The zero-width joiner combines emoji.
        case .format: scalar.value != 0x200D
        default: false
        }
    }
}
