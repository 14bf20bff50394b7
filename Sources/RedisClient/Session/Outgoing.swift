internal import Bytes

/// What is to be sent, as one stream with places in it: who knows where a command ends knows whether it has left.
struct Outgoing {
    private var buffer = ByteBuffer()
    /// How much of the buffer has left.
    private var sentCount = 0
    /// The place in the stream of the buffer's first byte.
    private var origin: UInt64 = 0

    private static let keptBytes = 1 << 20

    /// The place behind everything that was written.
    var end: UInt64 { self.origin + UInt64(self.buffer.count) }
    /// The place up to which everything has left.
    var sent: UInt64 { self.origin + UInt64(self.sentCount) }
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

    func withUnsent<R>(_ body: (UnsafeRawBufferPointer) -> R) -> R {
        self.buffer.bytes.withUnsafeBytes { body(UnsafeRawBufferPointer(rebasing: $0[self.sentCount...])) }
    }

    /// So many more bytes have left.
    mutating func didSend(_ count: Int) {
        self.sentCount += count
        if self.sentCount == self.buffer.count {
            self.clear()
        } else if self.sentCount > self.unsentCount {
            // What is left goes to the front once that is less than what has gone, so that each byte is moved once at most.
            self.buffer.bytes.removeFirst(self.sentCount)
            self.origin += UInt64(self.sentCount)
            self.sentCount = 0
        }
    }

    /// Forgets what stands before a place, unsent.
    mutating func skip(to place: UInt64) {
        if place > self.sent { self.didSend(Int(place - self.sent)) }
    }

    /// Forgets everything; the places go on.
    mutating func clear() {
        self.origin = self.end
        self.buffer.removeAll(keepingCapacityUpTo: Self.keptBytes)
        self.sentCount = 0
    }
}
