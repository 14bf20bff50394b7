import Synchronization

/// The result of folding one Unicode scalar of a text: nothing, a separator, or letters in lower
/// case without accents.
struct FoldedScalar {
    enum Kind: UInt64 {
        /// It separates words.
        case separator
        /// An accent, which does not count.
        case mark
        /// One or two letters or digits of a word.
        case letters
        /// A character of a script without spaces: a word of its own.
        case word
        /// Three letters at most, which Hangul's arithmetic yields.
        case syllable
        /// Its result depends on the scalars around it, so only `SearchText.exactWords` is right.
        case contextual
    }

    private let bits: UInt64
    private static let scalarBits: UInt64 = 21
    private static let mask: UInt64 = 1 << scalarBits - 1

    init(_ kind: Kind, _ first: UInt32 = 0, _ second: UInt32 = 0) {
        self.bits = kind.rawValue << 61 | UInt64(second) << Self.scalarBits | UInt64(first)
    }

    var kind: Kind {
        @inline(__always) get { Kind(rawValue: self.bits >> 61) ?? .contextual }
    }
    var first: UInt32 {
        @inline(__always) get { UInt32(truncatingIfNeeded: self.bits & Self.mask) }
    }
    /// 0 if there is only one.
    var second: UInt32 {
        @inline(__always) get {
            UInt32(truncatingIfNeeded: self.bits >> Self.scalarBits & Self.mask)
        }
    }
}

/// The folded form of every scalar, computed for 256 neighbours when a text first has one of them.
///
/// The properties of the standard library cost about 50 ns for each scalar of a text; this table
/// costs about one. It has 2 KiB for each block that was used, and at most 9 MiB.
final class SearchFolding: @unchecked Sendable {
    // Unchecked: the pointers are constant, and each block is complete before it is published.
    static let shared = SearchFolding()

    private typealias Block = UnsafeMutablePointer<FoldedScalar>
    private static let blockSize = 256
    private static let blockCount = 0x11_0000 / blockSize
    private let blocks: UnsafeMutablePointer<Atomic<UInt>>

    private init() {
        self.blocks = .allocate(capacity: Self.blockCount)
        for index in 0..<Self.blockCount { (self.blocks + index).initialize(to: Atomic(0)) }
    }

    /// - Parameter scalar: at most U+10FFFF.
    subscript(scalar: UInt32) -> FoldedScalar {
        @inline(__always) get {
            let number = Int(scalar >> 8)
            let address = self.blocks[number].load(ordering: .acquiring)
            let block = Block(bitPattern: address) ?? self.makeBlock(number)
            return block[Int(scalar & 0xFF)]
        }
    }

    @inline(never)
    private func makeBlock(_ number: Int) -> Block {
        let block = Block.allocate(capacity: Self.blockSize)
        for index in 0..<Self.blockSize {
            let scalar = Unicode.Scalar(UInt32(number * Self.blockSize + index))
            // Surrogates are in no text.
            (block + index).initialize(
                to: scalar.map(SearchText.folded) ?? FoldedScalar(.separator))
        }
        let (exchanged, original) = self.blocks[number].compareExchange(
            expected: 0, desired: UInt(bitPattern: block), ordering: .acquiringAndReleasing)
        guard !exchanged, let earlier = Block(bitPattern: original) else { return block }
        block.deallocate()
        return earlier
    }
}

/// Letters of Hangul's syllables, by the arithmetic of the Unicode Standard, section 3.12.
enum HangulSyllable {
    static let range: ClosedRange<UInt32> = 0xAC00...0xD7A3

    /// The third one is 0 if there are two.
    @inline(__always)
    static func letters(_ syllable: UInt32) -> (UInt32, UInt32, UInt32) {
        let index = syllable - 0xAC00
        let last = index % 28
        return (
            0x1100 + index / 588, 0x1161 + index % 588 / 28, last == 0 ? 0 : 0x11A7 + last
        )
    }
}

extension UnsafeRawBufferPointer {
    /// The scalar that begins at a byte, and its length. A byte that begins none counts as U+FFFD,
    /// as in a repaired text.
    @inline(__always)
    func scalar(at index: Int) -> (value: UInt32, length: Int) {
        let first = UInt32(self[index])
        if first < 0x80 { return (first, 1) }
        let left = self.count - index
        if first >= 0xC2, first < 0xE0, left > 1 {
            let second = UInt32(self[index + 1])
            if second & 0xC0 == 0x80 { return ((first & 0x1F) << 6 | second & 0x3F, 2) }
        } else if first >= 0xE0, first < 0xF0, left > 2 {
            let (second, third) = (UInt32(self[index + 1]), UInt32(self[index + 2]))
            let value = (first & 0xF) << 12 | (second & 0x3F) << 6 | third & 0x3F
            if second & 0xC0 == 0x80, third & 0xC0 == 0x80, value >= 0x800,
                value & 0xF800 != 0xD800
            {
                return (value, 3)
            }
        } else if first >= 0xF0, first < 0xF5, left > 3 {
            let (second, third) = (UInt32(self[index + 1]), UInt32(self[index + 2]))
            let fourth = UInt32(self[index + 3])
            let value =
                (first & 0x7) << 18 | (second & 0x3F) << 12 | (third & 0x3F) << 6 | fourth & 0x3F
            if second & 0xC0 == 0x80, third & 0xC0 == 0x80, fourth & 0xC0 == 0x80,
                value >= 0x1_0000, value <= 0x10_FFFF
            {
                return (value, 4)
            }
        }
        return (0xFFFD, 1)
    }

    /// The scalar that ends before a byte, and its length.
    @inline(__always)
    func scalar(before end: Int) -> (value: UInt32, length: Int) {
        var start = end - 1
        while start > 0, end - start < 4, self[start] & 0xC0 == 0x80 { start -= 1 }
        let scalar = self.scalar(at: start)
        return start + scalar.length == end ? scalar : (0xFFFD, 1)
    }
}
