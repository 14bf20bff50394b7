import Bytes

/// UUIDs as texts (RFC 9562): what the protocol names pets, providers and conversations by.
enum UUIDText {
    /// Version 4: 122 bits of chance.
    static func random() -> ByteString {
        var bytes = (0..<16).map { _ in UInt8.random(in: 0...255) }
        bytes[6] = bytes[6] & 0x0F | 0x40
        bytes[8] = bytes[8] & 0x3F | 0x80
        let digits = Hex.encode(bytes).utf8
        var text: [UInt8] = []
        text.reserveCapacity(36)
        for (place, digit) in digits.enumerated() {
            if place == 8 || place == 12 || place == 16 || place == 20 {
                text.append(UInt8(ascii: "-"))
            }
            text.append(digit)
        }
        return ByteString(String(decoding: text, as: UTF8.self))
    }

    /// Whether a text has a UUID's form, in upper or lower case and of whatever version.
    static func matches(_ text: String) -> Bool {
        guard text.utf8.count == 36 else { return false }
        return text.utf8.enumerated().allSatisfy { place, letter in
            switch place {
            case 8, 13, 18, 23: letter == UInt8(ascii: "-")
            default: Hex.value(letter) != nil
            }
        }
    }
}
