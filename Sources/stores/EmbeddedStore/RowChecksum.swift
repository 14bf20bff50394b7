import Bytes

/// A checksum over a row's values, stored with the row. SQLite detects a damaged page structure,
/// but not a flipped bit in a text.
///
/// Each step is a bijection of the previous sum. Therefore rows that differ in one value, or in
/// eight bytes of a text, never have the same checksum.
///
/// The checksum is part of the file format: it must not change within a schema version.
struct RowChecksum {
    private var state: UInt64 = 0x9E37_79B9_7F4A_7C15

    /// The value as stored in the file.
    var value: Int { Int(truncatingIfNeeded: StableHash.mix(self.state)) }

    @inline(__always)
    mutating func fold(_ number: Int) {
        self.fold(UInt64(truncatingIfNeeded: number))
    }

    @inline(__always)
    mutating func fold(_ number: Int?) {
        self.fold(number == nil ? 0 : 1)
        self.fold(number ?? 0)
    }

    /// Adds a text or blob; nil and an empty one differ.
    @inline(__always)
    mutating func fold(_ bytes: UnsafeRawBufferPointer?) {
        guard let bytes else { return self.fold(UInt64.max) }
        self.fold(bytes.count)
        var offset = 0
        while offset + 8 <= bytes.count {
            self.fold(
                UInt64(littleEndian: bytes.loadUnaligned(fromByteOffset: offset, as: UInt64.self)))
            offset += 8
        }
        if offset < bytes.count {
            var tail: UInt64 = 0
            for byte in bytes[offset...] { tail = tail << 8 | UInt64(byte) }
            self.fold(tail)
        }
    }

    @inline(__always)
    private mutating func fold(_ word: UInt64) {
        let mixed = (self.state ^ word) &* 0xFF51_AFD7_ED55_8CCD
        self.state = mixed << 29 | mixed >> 35
    }
}
