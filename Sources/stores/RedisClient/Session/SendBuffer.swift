internal import Bytes

/// The bytes to send, as one stream with offsets. Its user compares a command's end with `sent` to
/// know whether the command was sent.
struct SendBuffer {
    private var buffer = ByteBuffer()
    /// Bytes of the buffer that have been sent.
    private var sentCount = 0
    /// Bytes of the buffer that are no longer needed.
    private var freeCount = 0
    /// The stream offset of the buffer's first byte.
    private var baseOffset: UInt64 = 0
    /// Sent bytes are kept until `free(to:)`, because they may have to be sent to another server.
    private let retainsSent: Bool

    private static let retainedCapacity = 1 << 20

    init(retainsSent keepsSent: Bool = false) {
        self.retainsSent = keepsSent
    }

    /// The offset behind everything written.
    var end: UInt64 { self.baseOffset + UInt64(self.buffer.count) }
    /// The offset up to which everything has been sent.
    var sent: UInt64 { self.baseOffset + UInt64(self.sentCount) }
    var unsentCount: Int { self.buffer.count - self.sentCount }

    /// Writes one command.
    ///
    /// - Returns: false, without writing, if more than `byteLimit` bytes would be unsent.
    @inline(__always)
    mutating func write(byteLimit: Int, _ write: (inout RedisCommandWriter) -> Void) -> Bool {
        let count = self.buffer.count
        var detached = ByteBuffer()
        swap(&detached, &self.buffer)
        var writer = RedisCommandWriter(into: consume detached)
        write(&writer)
        self.buffer = writer.finish()
        if self.unsentCount <= byteLimit { return true }
        self.buffer.truncate(to: count)
        return false
    }

    /// Removes the unsent bytes from this offset on.
    mutating func truncate(to offset: UInt64) {
        self.buffer.truncate(to: Int(offset - self.baseOffset))
    }

    /// Appends an encoded command.
    mutating func append(_ bytes: [UInt8]) {
        self.buffer.append(contentsOf: bytes)
    }

    func withUnsent<R>(_ body: (UnsafeRawBufferPointer) -> R) -> R {
        self.buffer.bytes.withUnsafeBytes {
            body(UnsafeRawBufferPointer(rebasing: $0[self.sentCount...]))
        }
    }

    /// The bytes between two offsets, which must still be in the buffer.
    func bytes(_ range: Range<UInt64>) -> ArraySlice<UInt8> {
        self.buffer.bytes[
            Int(range.lowerBound - self.baseOffset)..<Int(range.upperBound - self.baseOffset)]
    }

    /// Records that this many more bytes were sent.
    mutating func didSend(_ count: Int) {
        self.sentCount += count
        if !self.retainsSent { self.free(to: self.sent) }
    }

    /// Releases the bytes before this offset, sent or not.
    mutating func free(to offset: UInt64) {
        guard offset > self.baseOffset else { return }
        self.freeCount = max(self.freeCount, Int(offset - self.baseOffset))
        self.sentCount = max(self.sentCount, self.freeCount)
        if self.freeCount == self.buffer.count {
            self.clear()
        } else if self.freeCount > self.buffer.count - self.freeCount {
            // Moves the rest to the front once it is smaller than the free part, so that each byte
            // moves at most once.
            self.buffer.bytes.removeFirst(self.freeCount)
            self.baseOffset += UInt64(self.freeCount)
            self.sentCount -= self.freeCount
            self.freeCount = 0
        }
    }

    /// Discards all bytes; the offsets continue.
    mutating func clear() {
        self.baseOffset = self.end
        self.buffer.removeAll(keepingCapacityUpTo: Self.retainedCapacity)
        self.sentCount = 0
        self.freeCount = 0
    }
}
