/// Reading bytes of a span; every load is checked against its end.
extension RawSpan {
    @inline(__always)
    subscript(byteAt offset: Int) -> UInt8 {
        self.unsafeLoad(fromByteOffset: offset, as: UInt8.self)
    }

    /// Whether the bytes from `start` to `end` are those of `text`.
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

/// Eight bytes looked at in one go.
enum ByteWord {
    private static let ones: UInt64 = 0x0101_0101_0101_0101
    private static let highBits: UInt64 = 0x8080_8080_8080_8080

    /// How many of the word's bytes, from its first in memory on, are ASCII that a JSON string may hold as it is: 0 to 8.
    ///
    /// A byte that is none of these borrows from the one behind it in the subtractions, so only the lowest mark can be trusted; it is the one asked for.
    @inline(__always)
    static func plainByteCount(_ loaded: UInt64) -> Int {
        let word = UInt64(littleEndian: loaded)
        let controls = word &- self.ones &* 0x20
        let quotes = (word ^ (self.ones &* 0x22)) &- self.ones
        let backslashes = (word ^ (self.ones &* 0x5C)) &- self.ones
        return ((controls | quotes | backslashes | word) & self.highBits).trailingZeroBitCount >> 3
    }

    /// The same with every byte beyond ASCII counted as plain: what a writer of text that is known to be UTF-8 asks.
    @inline(__always)
    static func plainOrNonASCIIByteCount(_ loaded: UInt64) -> Int {
        let word = UInt64(littleEndian: loaded)
        let controls = word &- self.ones &* 0x20
        let quotes = (word ^ (self.ones &* 0x22)) &- self.ones
        let backslashes = (word ^ (self.ones &* 0x5C)) &- self.ones
        return ((controls | quotes | backslashes) & ~word & self.highBits).trailingZeroBitCount >> 3
    }
}
