/// A byte buffer that grows at the end. All writers (JSON, HTTP, WebSocket frames) append to it.
///
/// Each loop keeps one buffer and reuses it, so writing allocates nothing once the buffer has
/// grown.
public struct ByteBuffer: Sendable, Equatable {
    /// The bytes written so far. Public and mutable, so that the methods below can be inlined in
    /// other modules.
    public var bytes: [UInt8]

    /// Creates an empty buffer with a capacity of `capacity` bytes.
    public init(capacity: Int = 0) {
        self.bytes = []
        self.bytes.reserveCapacity(capacity)
    }

    /// Creates a buffer that starts with `bytes`.
    public init(_ bytes: [UInt8]) {
        self.bytes = bytes
    }

    public var count: Int { self.bytes.count }
    public var isEmpty: Bool { self.bytes.isEmpty }

    /// The written bytes as text. Invalid UTF-8 is replaced.
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

    /// Appends the UTF-8 bytes of the text, without escaping.
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

    /// Appends some of the buffer's own bytes once more.
    public mutating func append(copyOf range: Range<Int>) {
        // Not a slice of the buffer: it shares the memory, so the append would copy all of it.
        withUnsafeTemporaryAllocation(byteCount: range.count, alignment: 1) { copy in
            self.bytes.withUnsafeBytes {
                copy.copyMemory(from: UnsafeRawBufferPointer(rebasing: $0[range]))
            }
            self.bytes.append(contentsOf: UnsafeRawBufferPointer(copy))
        }
    }

    /// Appends the number in decimal digits.
    public mutating func append(decimal number: some FixedWidthInteger) {
        if number >= 0, number < 10 {
            self.bytes.append(0x30 + UInt8(truncatingIfNeeded: number))
            return
        }
        // A 64-bit number has at most 20 characters, sign included.
        withUnsafeTemporaryAllocation(of: UInt8.self, capacity: 20) { digits in
            var remaining = number.magnitude
            var first = digits.count
            repeat {
                let (quotient, digit) = remaining.quotientAndRemainder(dividingBy: 10)
                first -= 1
                digits[first] = 0x30 + UInt8(truncatingIfNeeded: digit)
                remaining = quotient
            } while remaining != 0
            if number < 0 { self.bytes.append(UInt8(ascii: "-")) }
            self.bytes.append(contentsOf: UnsafeBufferPointer(rebasing: digits[first...]))
        }
    }

    /// Removes all bytes. Keeps the capacity unless it exceeds `capacityLimit`.
    public mutating func removeAll(keepingCapacityUpTo capacityLimit: Int = 1 << 20) {
        if !self.bytes.isEmpty {
            self.bytes.removeAll(keepingCapacity: self.bytes.capacity <= capacityLimit)
        }
    }

    /// Removes all bytes after the first `count`.
    public mutating func truncate(to count: Int) {
        self.bytes.removeLast(self.bytes.count - count)
    }
}
