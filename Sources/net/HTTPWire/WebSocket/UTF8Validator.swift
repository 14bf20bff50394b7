/// Validates UTF-8 that arrives in fragments. A fragment may end inside a character.
///
/// Between fragments it remembers which bytes may follow (Unicode 16.0, table 3-7). So an invalid
/// byte is detected in the fragment that contains it.
struct UTF8Validator: Sendable {
    private var missingCount: UInt8 = 0
    private var lowest: UInt8 = 0x80
    private var highest: UInt8 = 0xBF

    /// Whether the bytes so far end with a complete character.
    var isComplete: Bool { self.missingCount == 0 }

    /// Whether the bytes so far can be the beginning of valid UTF-8.
    mutating func accept(_ bytes: UnsafeRawBufferPointer) -> Bool {
        var offset = 0
        while offset < bytes.count {
            if self.missingCount == 0 {
                while offset &+ 8 <= bytes.count,
                    bytes.loadUnaligned(fromByteOffset: offset, as: UInt64.self)
                        & 0x8080_8080_8080_8080 == 0
                {
                    offset &+= 8
                }
                guard offset < bytes.count else { return true }
            }
            guard self.accept(bytes[offset]) else { return false }
            offset &+= 1
        }
        return true
    }

    private mutating func accept(_ byte: UInt8) -> Bool {
        if self.missingCount > 0 {
            guard byte >= self.lowest, byte <= self.highest else { return false }
            self.missingCount -= 1
            (self.lowest, self.highest) = (0x80, 0xBF)
            return true
        }
        switch byte {
        case 0x00...0x7F: return true
        case 0xC2...0xDF: self.missingCount = 1
        case 0xE0...0xEF: self.missingCount = 2
        case 0xF0...0xF4: self.missingCount = 3
        default: return false
        }
        // Excludes overlong forms, surrogates and values above U+10FFFF.
        switch byte {
        case 0xE0: self.lowest = 0xA0
        case 0xED: self.highest = 0x9F
        case 0xF0: self.lowest = 0x90
        case 0xF4: self.highest = 0x8F
        default: break
        }
        return true
    }

    /// Whether all bytes together are valid UTF-8.
    static func isValid(_ bytes: UnsafeRawBufferPointer) -> Bool {
        do {
            _ = try UTF8Span(validating: bytes.bindMemory(to: UInt8.self).span)
            return true
        } catch {
            return false
        }
    }
}
