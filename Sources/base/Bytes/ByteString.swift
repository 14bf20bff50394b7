/// A text that is compared byte by byte.
///
/// `String` compares by canonical equivalence: it treats "é" as one scalar and "é" as two scalars
/// as equal. As ids these are two different users in every store, so they must differ here too.
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
        // Strings with equal bits are equal: both hold the same short text inline, or both refer to
        // the same object. Most compared strings are of this kind.
        let leftBits = unsafeBitCast(left.string, to: (UInt64, UInt64).self)
        let rightBits = unsafeBitCast(right.string, to: (UInt64, UInt64).self)
        if leftBits == rightBits { return true }
        // Two inline strings with different bits are different texts.
        if leftBits.1 & rightBits.1 & Self.inlineStringFlag != 0 { return false }
        return left.hasSameBytes(as: right)
    }

    /// The flag in the second word of a `String` that stores its text inline (up to 15 bytes).
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

    /// Compares two buffers of the same size, eight bytes at a time.
    @inlinable
    static func areEqual(_ left: UnsafeRawBufferPointer, _ right: UnsafeRawBufferPointer) -> Bool {
        var offset = 0
        while offset + 8 <= left.count {
            if left.loadUnaligned(fromByteOffset: offset, as: UInt64.self)
                != right.loadUnaligned(fromByteOffset: offset, as: UInt64.self)
            {
                return false
            }
            offset += 8
        }
        while offset < left.count {
            if left[offset] != right[offset] { return false }
            offset += 1
        }
        return true
    }

    public static func < (left: ByteString, right: ByteString) -> Bool {
        left.string.utf8.lexicographicallyPrecedes(right.string.utf8)
    }

    @inlinable
    public func hash(into hasher: inout Hasher) {
        self.withBytes { hasher.combine(bytes: UnsafeRawBufferPointer($0)) }
        // UTF-8 never contains 0xFF, so ("a", "bc") and ("ab", "c") hash differently.
        hasher.combine(UInt8(0xFF))
    }

    /// Calls `body` with the UTF-8 bytes, which are valid only during the call.
    @inlinable
    public func withBytes<R>(_ body: (UnsafeBufferPointer<UInt8>) -> R) -> R {
        if let result = self.string.utf8.withContiguousStorageIfAvailable(body) { return result }
        return Array(self.string.utf8).withUnsafeBufferPointer(body)
    }
}
