public import Bytes

/// Encodes one command as RESP, an array of byte strings, directly into the connection's send
/// buffer.
///
/// It counts the arguments while writing and inserts the count at the end. Not copyable, because a
/// second reference to the buffer would make every command copy all unsent bytes.
public struct RedisCommandWriter: ~Copyable {
    @usableFromInline var buffer: ByteBuffer
    @usableFromInline let start: Int
    @usableFromInline var argumentCount = 0

    /// Starts a command at the end of `buffer`, which `finish()` returns.
    init(into buffer: consuming ByteBuffer) {
        self.buffer = consume buffer
        self.start = self.buffer.count
        // Most commands have fewer than ten arguments; see `finish`. Each argument starts with the
        // line end of the previous one.
        self.buffer.append("*0")
    }

    @inlinable
    public mutating func append(_ bytes: UnsafeRawBufferPointer) {
        self.begin(byteCount: bytes.count)
        self.buffer.append(contentsOf: bytes)
    }

    /// A fixed argument, such as `SET`.
    @inlinable
    public mutating func append(_ word: StaticString) {
        self.append(UnsafeRawBufferPointer(start: word.utf8Start, count: word.utf8CodeUnitCount))
    }

    @inlinable
    public mutating func append(text: ByteString) {
        text.withBytes { self.append(UnsafeRawBufferPointer($0)) }
    }

    @inlinable
    public mutating func append(_ bytes: [UInt8]) {
        bytes.withUnsafeBytes { self.append($0) }
    }

    @inlinable
    public mutating func append(_ bytes: ByteBuffer) {
        self.append(bytes.bytes)
    }

    @inlinable
    public mutating func append(text: String) {
        self.append(text: ByteString(text))
    }

    /// One argument of two parts, such as a key with a prefix.
    @inlinable
    public mutating func append(text first: ByteString, _ second: ByteString) {
        self.begin(byteCount: first.byteCount + second.byteCount)
        self.buffer.append(text: first.string)
        self.buffer.append(text: second.string)
    }

    @inlinable
    public mutating func append(_ number: some FixedWidthInteger) {
        self.begin(byteCount: Self.digitCount(of: number))
        self.buffer.append(decimal: number)
    }

    /// An argument of exactly `byteCount` bytes, which `write` appends to the buffer.
    @inlinable
    public mutating func append(byteCount: Int, _ write: (inout ByteBuffer) -> Void) {
        self.begin(byteCount: byteCount)
        let end = self.buffer.count + byteCount
        write(&self.buffer)
        precondition(
            self.buffer.count == end,
            "An argument of \(byteCount) bytes has \(self.buffer.count - end) bytes too many."
        )
    }

    /// `EVALSHA`, the script's digest and the number of keys. The keys and arguments must follow.
    @inlinable
    public mutating func append(_ script: RedisScript, keyCount: Int) {
        self.append("EVALSHA")
        self.append(text: script.digest)
        self.append(keyCount)
    }

    /// Writes `\r\n$`, the argument's size and `\r\n`; in one append for up to three digits,
    /// because each append has a fixed cost.
    @inlinable
    @inline(__always)
    mutating func begin(byteCount: Int) {
        self.argumentCount += 1
        guard byteCount < 1000 else { return self.beginLong(byteCount: byteCount) }
        let size = UInt64(truncatingIfNeeded: byteCount)
        // Backwards, because the lowest byte comes first.
        var line: UInt64 = 0x0A0D
        var rest = size
        var count = 5
        repeat {
            line = line << 8 | (0x30 + rest % 10)
            rest /= 10
            count += 1
        } while rest != 0
        line = (line << 24 | 0x24_0A0D).littleEndian
        withUnsafeBytes(of: &line) {
            self.buffer.append(contentsOf: UnsafeRawBufferPointer(rebasing: $0[..<count]))
        }
    }

    @usableFromInline
    mutating func beginLong(byteCount: Int) {
        self.buffer.append("\r\n$")
        self.buffer.append(decimal: byteCount)
        self.buffer.append("\r\n")
    }

    @inlinable
    static func digitCount(of number: some FixedWidthInteger) -> Int {
        var count = number < 0 ? 2 : 1
        var rest = number.magnitude / 10
        while rest != 0 {
            count += 1
            rest /= 10
        }
        return count
    }

    /// Inserts the number of arguments and returns the buffer.
    consuming func finish() -> ByteBuffer {
        precondition(self.argumentCount > 0, "A command has no arguments.")
        self.buffer.append("\r\n")
        if self.argumentCount < 10 {
            self.buffer.bytes[self.start + 1] = UInt8(ascii: "0") + UInt8(self.argumentCount)
        } else {
            var count = ByteBuffer()
            count.append(decimal: self.argumentCount)
            self.buffer.bytes.replaceSubrange(self.start + 1..<self.start + 2, with: count.bytes)
        }
        return self.buffer
    }
}
