internal import Bytes

/// What is to be sent, as one stream with places in it: who knows where a command ends knows whether it has left.
struct SendBuffer {
    private var buffer = ByteBuffer()
    /// How much of the buffer has left.
    private var sentCount = 0
    /// How much of the buffer nobody needs any more.
    private var freeCount = 0
    /// The place in the stream of the buffer's first byte.
    private var baseOffset: UInt64 = 0
    /// What has left stays until `free(to:)`: it may have to be sent again, elsewhere.
    private let retainsSent: Bool

    private static let retainedCapacity = 1 << 20

    init(retainsSent keepsSent: Bool = false) {
        self.retainsSent = keepsSent
    }

    /// The place behind everything that was written.
    var end: UInt64 { self.baseOffset + UInt64(self.buffer.count) }
    /// The place up to which everything has left.
    var sent: UInt64 { self.baseOffset + UInt64(self.sentCount) }
    var unsentCount: Int { self.buffer.count - self.sentCount }

    /// Writes one command; false, and nothing is written, when more than `byteLimit` bytes would wait.
    @inline(__always)
    mutating func write(byteLimit: Int, _ write: (inout RedisCommandWriter) -> Void) -> Bool {
        let count = self.buffer.count
        var taken = ByteBuffer()
        swap(&taken, &self.buffer)
        var writer = RedisCommandWriter(into: consume taken)
        write(&writer)
        self.buffer = writer.finish()
        if self.unsentCount <= byteLimit { return true }
        self.buffer.truncate(to: count)
        return false
    }

    /// Takes back what was written last, and has not left, from a place on.
    mutating func truncate(to place: UInt64) {
        self.buffer.truncate(to: Int(place - self.baseOffset))
    }

    /// Adds a command that was written before.
    mutating func append(_ bytes: [UInt8]) {
        self.buffer.append(contentsOf: bytes)
    }

    func withUnsent<R>(_ body: (UnsafeRawBufferPointer) -> R) -> R {
        self.buffer.bytes.withUnsafeBytes {
            body(UnsafeRawBufferPointer(rebasing: $0[self.sentCount...]))
        }
    }

    /// What stands between two places, of what is still here.
    func bytes(_ range: Range<UInt64>) -> ArraySlice<UInt8> {
        self.buffer.bytes[
            Int(range.lowerBound - self.baseOffset)..<Int(range.upperBound - self.baseOffset)]
    }

    /// So many more bytes have left.
    mutating func didSend(_ count: Int) {
        self.sentCount += count
        if !self.retainsSent { self.free(to: self.sent) }
    }

    /// Nobody needs what stands before a place, and it is not sent either.
    mutating func free(to place: UInt64) {
        guard place > self.baseOffset else { return }
        self.freeCount = max(self.freeCount, Int(place - self.baseOffset))
        self.sentCount = max(self.sentCount, self.freeCount)
        if self.freeCount == self.buffer.count {
            self.clear()
        } else if self.freeCount > self.buffer.count - self.freeCount {
            // What is left goes to the front once that is less than what has gone, so that each byte is moved once at most.
            self.buffer.bytes.removeFirst(self.freeCount)
            self.baseOffset += UInt64(self.freeCount)
            self.sentCount -= self.freeCount
            self.freeCount = 0
        }
    }

    /// Forgets everything; the places go on.
    mutating func clear() {
        self.baseOffset = self.end
        self.buffer.removeAll(keepingCapacityUpTo: Self.retainedCapacity)
        self.sentCount = 0
        self.freeCount = 0
    }
}
