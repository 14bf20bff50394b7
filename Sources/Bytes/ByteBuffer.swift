/// Bytes that grow at the end: what every writer (JSON, HTTP, frames) writes into.
///
/// One is kept per loop and used again, so that writing allocates nothing once it is warm.
public struct ByteBuffer: Sendable, Equatable {
    /// What has been written so far. Open to change, so that the writers below are inlined everywhere.
    public var bytes: [UInt8]

    /// An empty buffer with room for `capacity` bytes.
    public init(capacity: Int = 0) {
        self.bytes = []
        self.bytes.reserveCapacity(capacity)
    }

    /// A buffer that starts with `bytes`.
    public init(_ bytes: [UInt8]) {
        self.bytes = bytes
    }

    public var count: Int { self.bytes.count }
    public var isEmpty: Bool { self.bytes.isEmpty }

    /// What has been written, as text; bytes that are no UTF-8 are replaced.
    public var text: String { String(decoding: self.bytes, as: UTF8.self) }

    @inlinable
    public mutating func append(_ byte: UInt8) {
        self.bytes.append(byte)
    }

    @inlinable
    public mutating func append(_ literal: StaticString) {
        self.bytes.append(
            contentsOf: UnsafeBufferPointer(
                start: literal.utf8Start, count: literal.utf8CodeUnitCount))
    }

    /// The text's UTF-8, as it is.
    @inlinable
    public mutating func append(text: String) {
        if text.utf8.withContiguousStorageIfAvailable({ self.bytes.append(contentsOf: $0) }) == nil
        {
            self.bytes.append(contentsOf: text.utf8)
        }
    }

    @inlinable
    public mutating func append(contentsOf more: UnsafeRawBufferPointer) {
        self.bytes.append(contentsOf: more)
    }

    @inlinable
    public mutating func append(contentsOf more: [UInt8]) {
        self.bytes.append(contentsOf: more)
    }

    @inlinable
    public mutating func append(contentsOf more: RawSpan) {
        more.withUnsafeBytes { self.bytes.append(contentsOf: $0) }
    }

    /// The number in decimal digits.
    public mutating func append(decimal number: some FixedWidthInteger) {
        if number >= 0, number < 10 {
            self.bytes.append(0x30 + UInt8(truncatingIfNeeded: number))
            return
        }
        // Twenty digits and a sign hold every 64-bit number.
        withUnsafeTemporaryAllocation(of: UInt8.self, capacity: 20) { digits in
            var rest = number.magnitude
            var first = digits.count
            repeat {
                let (quotient, digit) = rest.quotientAndRemainder(dividingBy: 10)
                first -= 1
                digits[first] = 0x30 + UInt8(truncatingIfNeeded: digit)
                rest = quotient
            } while rest != 0
            if number < 0 { self.bytes.append(UInt8(ascii: "-")) }
            self.bytes.append(contentsOf: UnsafeBufferPointer(rebasing: digits[first...]))
        }
    }

    /// Forgets what was written and keeps the room, unless that has grown beyond `capacityLimit`.
    public mutating func removeAll(keepingCapacityUpTo capacityLimit: Int = 1 << 20) {
        if !self.bytes.isEmpty {
            self.bytes.removeAll(keepingCapacity: self.bytes.capacity <= capacityLimit)
        }
    }

    /// Drops everything behind the first `count` bytes.
    public mutating func truncate(to count: Int) {
        self.bytes.removeLast(self.bytes.count - count)
    }
}
