/// Reads bytes of a span. Every access is bounds-checked.
extension RawSpan {
    @inline(__always)
    subscript(byteAt offset: Int) -> UInt8 {
        self.unsafeLoad(fromByteOffset: offset, as: UInt8.self)
    }

    /// Whether the bytes from `start` to `end` are equal to `text`.
    @inline(__always)
    func matches(_ text: StaticString, from start: Int, to end: Int) -> Bool {
        let count = text.utf8CodeUnitCount
        guard end - start == count else { return false }
        var offset = 0
        while offset &+ 8 <= count {
            let expected = UnsafeRawPointer(text.utf8Start).loadUnaligned(
                fromByteOffset: offset, as: UInt64.self)
            guard
                self.unsafeLoadUnaligned(fromByteOffset: start &+ offset, as: UInt64.self)
                    == expected
            else { return false }
            offset &+= 8
        }
        while offset < count {
            guard self[byteAt: start &+ offset] == text.utf8Start[offset] else { return false }
            offset &+= 1
        }
        return true
    }
}

/// Examines eight bytes at a time.
enum ByteWord {
    private static let ones: UInt64 = 0x0101_0101_0101_0101
    private static let highBits: UInt64 = 0x8080_8080_8080_8080

    /// The number of leading bytes, in memory order, that a JSON string may contain without
    /// escaping and that are ASCII: 0 to 8.
    ///
    /// In the subtractions, such a byte can borrow from the next one. So only the lowest flag is
    /// reliable, and only that one is used.
    @inline(__always)
    static func plainByteCount(_ loaded: UInt64) -> Int {
        let word = UInt64(littleEndian: loaded)
        let controls = word &- self.ones &* 0x20
        let quotes = (word ^ (self.ones &* 0x22)) &- self.ones
        let backslashes = (word ^ (self.ones &* 0x5C)) &- self.ones
        return ((controls | quotes | backslashes | word) & self.highBits).trailingZeroBitCount >> 3
    }

    /// The same, but non-ASCII bytes also count as plain. For a writer whose text is known to be
    /// UTF-8.
    @inline(__always)
    static func plainOrNonASCIIByteCount(_ loaded: UInt64) -> Int {
        let word = UInt64(littleEndian: loaded)
        let controls = word &- self.ones &* 0x20
        let quotes = (word ^ (self.ones &* 0x22)) &- self.ones
        let backslashes = (word ^ (self.ones &* 0x5C)) &- self.ones
        return ((controls | quotes | backslashes) & ~word & self.highBits).trailingZeroBitCount >> 3
    }
}
