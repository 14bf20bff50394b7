/// A set of ASCII characters, stored as the bits of two words. A lookup reads no table in memory.
struct ByteSet {
    let low: UInt64
    let high: UInt64

    @inline(__always)
    func contains(_ byte: UInt8) -> Bool {
        let half = byte < 64 ? self.low : self.high
        return byte < 128 && half &>> UInt64(byte & 63) & 1 != 0
    }

    /// `tchar` (RFC 9110 section 5.6.2): methods and field names.
    @inline(__always)
    static var token: ByteSet { ByteSet(low: 0x03FF_6CFA_0000_0000, high: 0x57FF_FFFF_C7FF_FFFE) }

    /// `pchar`, the slash and the percent sign (RFC 3986 section 3.3).
    @inline(__always)
    static var path: ByteSet { ByteSet(low: 0x2FFF_FFF2_0000_0000, high: 0x47FF_FFFE_87FF_FFFF) }

    /// The characters that RFC 3986 section 3.4 allows in a query, and those that browsers send
    /// without encoding.
    @inline(__always)
    static var query: ByteSet { ByteSet(low: 0xAFFF_FFF2_0000_0000, high: 0x7FFF_FFFF_FFFF_FFFF) }

    /// `reg-name` (RFC 3986 section 3.2.2).
    @inline(__always)
    static var host: ByteSet { ByteSet(low: 0x2BFF_7FF2_0000_0000, high: 0x47FF_FFFE_87FF_FFFE) }

    /// The characters between the brackets of an IPv6 address.
    @inline(__always)
    static var ipv6: ByteSet { ByteSet(low: 0x07FF_4000_0000_0000, high: 0x0000_007E_0000_007E) }
}

extension RawSpan {
    @inline(__always)
    subscript(byteAt offset: Int) -> UInt8 {
        self.unsafeLoad(fromByteOffset: offset, as: UInt8.self)
    }

    /// Whether the bytes in the range are equal to `text`.
    @inline(__always)
    func matches(_ text: StaticString, at range: Range<Int>) -> Bool {
        guard range.count == text.utf8CodeUnitCount else { return false }
        for offset in 0..<range.count
        where self[byteAt: range.lowerBound &+ offset] != text.utf8Start[offset] { return false }
        return true
    }

    /// Whether the bytes in the range are equal to `text`, ignoring case. `text` must be in lower
    /// case.
    @inline(__always)
    func matches(lowerCase text: StaticString, at range: Range<Int>) -> Bool {
        guard range.count == text.utf8CodeUnitCount else { return false }
        for offset in 0..<range.count
        where lowerCase(self[byteAt: range.lowerBound &+ offset]) != text.utf8Start[offset] {
            return false
        }
        return true
    }

    /// The range without leading and trailing spaces and tabs.
    @inline(__always)
    func trimmed(_ range: Range<Int>) -> Range<Int> {
        var start = range.lowerBound
        var end = range.upperBound
        while start < end, isBlank(self[byteAt: start]) { start &+= 1 }
        while end > start, isBlank(self[byteAt: end &- 1]) { end &-= 1 }
        return start..<end
    }

    /// The text in the range. Invalid UTF-8 is replaced.
    func text(at range: Range<Int>) -> String {
        self.extracting(range).withUnsafeBytes { String(decoding: $0, as: UTF8.self) }
    }

    /// The first position of the byte between `start` and `end`.
    @inline(__always)
    func first(_ byte: UInt8, from start: Int, to end: Int) -> Int? {
        let pattern = UInt64(byte) &* 0x0101_0101_0101_0101
        var offset = start
        while offset &+ 8 <= end {
            let difference =
                UInt64(
                    littleEndian: self.unsafeLoadUnaligned(fromByteOffset: offset, as: UInt64.self))
                ^ pattern
            let found = (difference &- 0x0101_0101_0101_0101) & ~difference & 0x8080_8080_8080_8080
            if found != 0 { return offset &+ found.trailingZeroBitCount >> 3 }
            offset &+= 8
        }
        while offset < end {
            if self[byteAt: offset] == byte { return offset }
            offset &+= 1
        }
        return nil
    }

    /// The first position between `start` and `end` of a byte that is not allowed in a field value:
    /// a control character other than a tab. `end` if there is none.
    @inline(__always)
    func firstControl(from start: Int, to end: Int) -> Int {
        var offset = start
        while offset < end {
            while offset &+ 8 <= end {
                let word = UInt64(
                    littleEndian: self.unsafeLoadUnaligned(fromByteOffset: offset, as: UInt64.self))
                let controls = word &- 0x2020_2020_2020_2020
                let deletes = (word ^ 0x7F7F_7F7F_7F7F_7F7F) &- 0x0101_0101_0101_0101
                // Only the lowest flag is reliable, because the subtractions borrow from higher
                // bytes.
                let plain =
                    ((controls | deletes) & ~word & 0x8080_8080_8080_8080).trailingZeroBitCount >> 3
                offset &+= plain
                if plain < 8 { break }
            }
            guard offset < end else { return end }
            let byte = self[byteAt: offset]
            if byte == 0x7F || byte < 0x20 && byte != 0x09 { return offset }
            offset &+= 1
        }
        return end
    }
}

@inline(__always)
func lowerCase(_ byte: UInt8) -> UInt8 {
    byte &- UInt8(ascii: "A") < 26 ? byte | 0x20 : byte
}

@inline(__always)
func isBlank(_ byte: UInt8) -> Bool {
    byte == 0x20 || byte == 0x09
}

@inline(__always)
func isDigit(_ byte: UInt8) -> Bool {
    byte &- 0x30 < 10
}
