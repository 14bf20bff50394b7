/// Text whose identity is its bytes.
///
/// Not `String`, which calls "é" written as one scalar and as two the same: as ids they are two different
/// users in every store, and must be here.
public struct ByteString: Sendable, Hashable, Comparable, ExpressibleByStringLiteral,
    CustomStringConvertible
{
    public let string: String

    @inlinable
    public init(_ string: String) {
        self.string = string
    }

    public init(stringLiteral value: String) {
        self.string = value
    }

    public var description: String { self.string }
    @inlinable public var byteCount: Int { self.string.utf8.count }

    @inlinable
    public static func == (left: ByteString, right: ByteString) -> Bool {
        // Equal bits are equal texts, be they a short text itself or the same object: so are most of those that are compared.
        let leftBits = unsafeBitCast(left.string, to: (UInt64, UInt64).self)
        let rightBits = unsafeBitCast(right.string, to: (UInt64, UInt64).self)
        if leftBits == rightBits { return true }
        // Two short texts with other bits are two texts.
        if leftBits.1 & rightBits.1 & Self.inlineStringFlag != 0 { return false }
        return left.hasSameBytes(as: right)
    }

    /// Set in the second word of a `String` that holds its text itself: up to 15 bytes.
    @usableFromInline static let inlineStringFlag: UInt64 = 1 << 61

    @inlinable
    func hasSameBytes(as other: ByteString) -> Bool {
        self.withBytes { left in
            other.withBytes { right in
                left.count == right.count
                    && Self.areEqual(UnsafeRawBufferPointer(left), UnsafeRawBufferPointer(right))
            }
        }
    }

    /// Whether two buffers of the same size have the same bytes: eight at a time.
    @inlinable
    static func areEqual(_ left: UnsafeRawBufferPointer, _ right: UnsafeRawBufferPointer) -> Bool {
        var place = 0
        while place + 8 <= left.count {
            if left.loadUnaligned(fromByteOffset: place, as: UInt64.self)
                != right.loadUnaligned(fromByteOffset: place, as: UInt64.self)
            {
                return false
            }
            place += 8
        }
        while place < left.count {
            if left[place] != right[place] { return false }
            place += 1
        }
        return true
    }

    public static func < (left: ByteString, right: ByteString) -> Bool {
        left.string.utf8.lexicographicallyPrecedes(right.string.utf8)
    }

    @inlinable
    public func hash(into hasher: inout Hasher) {
        self.withBytes { hasher.combine(bytes: UnsafeRawBufferPointer($0)) }
        hasher.combine(UInt8(0xFF))  // No UTF-8 has this byte: two texts side by side cannot be read as two others.
    }

    /// Its UTF-8, for as long as `body` runs.
    @inlinable
    public func withBytes<R>(_ body: (UnsafeBufferPointer<UInt8>) -> R) -> R {
        if let result = self.string.utf8.withContiguousStorageIfAvailable(body) { return result }
        return Array(self.string.utf8).withUnsafeBufferPointer(body)
    }
}
