import Bytes

/// UUIDs as text (RFC 9562): the ids of pets, providers and conversations.
enum UUIDText {
    /// Version 4: 122 random bits.
    static func random() -> ByteString {
        var bytes = (0..<16).map { _ in UInt8.random(in: 0...255) }
        bytes[6] = bytes[6] & 0x0F | 0x40
        bytes[8] = bytes[8] & 0x3F | 0x80
        let digits = Hex.encode(bytes).utf8
        var text: [UInt8] = []
        text.reserveCapacity(36)
        for (index, digit) in digits.enumerated() {
            if index == 8 || index == 12 || index == 16 || index == 20 {
                text.append(UInt8(ascii: "-"))
            }
            text.append(digit)
        }
        return ByteString(String(decoding: text, as: UTF8.self))
    }

    /// Whether a text has the form of a UUID, in upper or lower case and of any version.
    static func matches(_ text: String) -> Bool {
        guard text.utf8.count == 36 else { return false }
        return text.utf8.enumerated().allSatisfy { index, character in
            switch index {
            case 8, 13, 18, 23: character == UInt8(ascii: "-")
            default: Hex.value(character) != nil
            }
        }
    }
}
