public import Bytes

/// Writes one command as RESP wants it, an array of byte strings, straight into what the connection sends.
///
/// The words are counted while they are written, and the count is put in front at the end. Not copyable, because with a second reference
/// to the buffer every command would copy all that waits before it.
public struct RedisCommandWriter: ~Copyable {
    @usableFromInline var buffer: ByteBuffer
    @usableFromInline let start: Int
    @usableFromInline var argumentCount = 0

    /// Begins a command behind what is in `buffer`, which `finish()` gives back.
    init(into buffer: consuming ByteBuffer) {
        self.buffer = consume buffer
        self.start = self.buffer.count
        // Most commands have fewer than ten words; see `finish`. Every word brings the end of the line before it.
        self.buffer.append("*0")
    }

    @inlinable
    public mutating func append(_ bytes: UnsafeRawBufferPointer) {
        self.begin(byteCount: bytes.count)
        self.buffer.append(contentsOf: bytes)
    }

    /// A word of the protocol: `SET`.
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

    /// A word of several parts, such as a key with a prefix.
    @inlinable
    public mutating func append(text first: ByteString, _ second: ByteString) {
        self.begin(byteCount: first.byteCount + second.byteCount)
        self.buffer.append(text: first.string)
        self.buffer.append(text: second.string)
    }

    /// A number in decimal digits.
    @inlinable
    public mutating func append(_ number: some FixedWidthInteger) {
        self.begin(byteCount: Self.digitCount(of: number))
        self.buffer.append(decimal: number)
    }

    /// A word of `byteCount` bytes that `write` appends to the buffer, exactly so many.
    @inlinable
    public mutating func append(byteCount: Int, _ write: (inout ByteBuffer) -> Void) {
        self.begin(byteCount: byteCount)
        let end = self.buffer.count + byteCount
        write(&self.buffer)
        precondition(
            self.buffer.count == end,
            "A word of \(byteCount) bytes was announced, and \(self.buffer.count - end) more were written."
        )
    }

    /// `EVALSHA`, the script's name, and how many keys follow. Keys and arguments are to be appended next.
    @inlinable
    public mutating func append(_ script: RedisScript, keyCount: Int) {
        self.append("EVALSHA")
        self.append(text: script.digest)
        self.append(keyCount)
    }

    /// `\r\n$`, the word's size and `\r\n`: in one piece where it has up to three digits, because every append costs as much as the next.
    @inlinable
    @inline(__always)
    mutating func begin(byteCount: Int) {
        self.argumentCount += 1
        guard byteCount < 1000 else { return self.beginLong(byteCount: byteCount) }
        let size = UInt64(truncatingIfNeeded: byteCount)
        // Backwards: the first byte is the lowest.
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

    /// Puts the number of words where it belongs, and gives the buffer back.
    consuming func finish() -> ByteBuffer {
        precondition(self.argumentCount > 0, "A command without a word was written.")
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
