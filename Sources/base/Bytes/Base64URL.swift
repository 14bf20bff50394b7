/// Base64 with the URL-safe alphabet and without padding (RFC 4648 section 5), as JOSE uses it.
public enum Base64URL {
    private static let alphabet = Array(
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_".utf8)
    private static let sextetOfLetter: [UInt8] = {
        var values = [UInt8](repeating: 0xFF, count: 256)
        for (value, character) in Self.alphabet.enumerated() {
            values[Int(character)] = UInt8(value)
        }
        return values
    }()

    public static func encode(_ bytes: [UInt8]) -> String {
        var text: [UInt8] = []
        text.reserveCapacity((bytes.count * 4 + 2) / 3)
        var index = 0
        while index < bytes.count {
            let remaining = bytes.count - index
            let group =
                UInt32(bytes[index]) << 16 | (remaining > 1 ? UInt32(bytes[index + 1]) << 8 : 0)
                | (remaining > 2 ? UInt32(bytes[index + 2]) : 0)
            for position in 0..<min(remaining + 1, 4) {
                text.append(self.alphabet[Int(group >> UInt32(18 - 6 * position)) & 63])
            }
            index += 3
        }
        return String(decoding: text, as: UTF8.self)
    }

    /// Decodes canonical text only. Returns nil for a character outside the alphabet, for padding,
    /// for an impossible length and for unused bits that are not zero.
    public static func decode(_ text: some Collection<UInt8>) -> [UInt8]? {
        if let bytes = text.withContiguousStorageIfAvailable({
            self.decode(UnsafeRawBufferPointer($0))
        }) {
            return bytes
        }
        return Array(text).withUnsafeBytes { self.decode($0) }
    }

    /// Decodes canonical text only. Returns nil for any other text.
    public static func decode(_ text: UnsafeRawBufferPointer) -> [UInt8]? {
        let leftover = text.count % 4
        guard leftover != 1 else { return nil }
        var isValid = true
        let bytes = self.sextetOfLetter.withUnsafeBufferPointer { values in
            [UInt8](unsafeUninitializedCapacity: text.count / 4 * 3 + 2) { bytes, count in
                // A character outside the alphabet has the value 0xFF. Its high bits are set,
                // unlike those of all valid characters, so one check after the loop is enough.
                var combined: UInt32 = 0
                var position = 0
                while position + 4 <= text.count {
                    let (a, b) = (
                        UInt32(values[Int(text[position])]), UInt32(values[Int(text[position + 1])])
                    )
                    let (c, d) = (
                        UInt32(values[Int(text[position + 2])]),
                        UInt32(values[Int(text[position + 3])])
                    )
                    combined |= a | b | c | d
                    let group = a << 18 | b << 12 | c << 6 | d
                    bytes[count] = UInt8(truncatingIfNeeded: group >> 16)
                    bytes[count + 1] = UInt8(truncatingIfNeeded: group >> 8)
                    bytes[count + 2] = UInt8(truncatingIfNeeded: group)
                    count += 3
                    position += 4
                }
                if leftover > 0 {
                    let (a, b) = (
                        UInt32(values[Int(text[position])]), UInt32(values[Int(text[position + 1])])
                    )
                    let c = leftover == 3 ? UInt32(values[Int(text[position + 2])]) : 0
                    combined |= a | b | c
                    let group = a << 18 | b << 12 | c << 6
                    bytes[count] = UInt8(truncatingIfNeeded: group >> 16)
                    count += 1
                    if leftover == 3 {
                        bytes[count] = UInt8(truncatingIfNeeded: group >> 8)
                        count += 1
                    }
                    isValid = group & (leftover == 3 ? 0xFF : 0xFFFF) == 0
                }
                isValid = isValid && combined < 64
            }
        }
        return isValid ? bytes : nil
    }
}
