public import Bytes
internal import CZlib

/// Compresses messages for permessage-deflate (RFC 7692 section 7.2.1), each independently, with
/// zlib's fastest level.
///
/// One deflater serves a whole loop. Its output can be sent to every connection that has agreed on
/// `server_no_context_takeover`.
public final class Deflater {
    /// Shorter messages hardly shrink: 255 bytes become three quarters, for 4 µs.
    public static let minimumByteCount = 256

    // At a fixed address, because zlib stores it.
    private let stream: UnsafeMutablePointer<z_stream>
    private var storage: UnsafeMutableRawBufferPointer

    /// The size of the buffer between messages. A larger buffer is released.
    private static let retainedByteCount = 64 << 10

    public init() {
        self.stream = .allocate(capacity: 1)
        self.stream.initialize(to: z_stream())
        self.storage = .allocate(byteCount: Self.retainedByteCount, alignment: 16)
        // Negative window bits: no zlib header.
        let status = deflateInit2_(
            self.stream, 1, Z_DEFLATED, -15, 8, Z_DEFAULT_STRATEGY, ZLIB_VERSION,
            Int32(MemoryLayout<z_stream>.size))
        precondition(status == Z_OK, "zlib cannot begin to deflate: \(status).")
    }

    deinit {
        deflateEnd(self.stream)
        self.stream.deallocate()
        self.storage.deallocate()
    }

    /// Appends the compressed message to `buffer`. Appends nothing if the message is short or would
    /// not become smaller.
    ///
    /// - Returns: whether the message was compressed. The frame must then have `isCompressed` set.
    public func deflate(_ message: UnsafeRawBufferPointer, into buffer: inout ByteBuffer) -> Bool {
        guard message.count >= Self.minimumByteCount, message.count <= Int(Int32.max),
            let base = message.baseAddress
        else { return false }
        // The flush ends with four bytes that are removed again. zlib signals completion by leaving
        // space in the buffer.
        let roomByteCount = message.count + 4
        if roomByteCount > self.storage.count { self.resize(to: roomByteCount) }
        defer {
            if self.storage.count > Self.retainedByteCount {
                self.resize(to: Self.retainedByteCount)
            }
        }
        deflateReset(self.stream)
        self.stream.pointee.next_in = UnsafeMutablePointer(
            mutating: base.assumingMemoryBound(to: UInt8.self))
        self.stream.pointee.avail_in = UInt32(message.count)
        self.stream.pointee.next_out = self.storage.baseAddress?.assumingMemoryBound(to: UInt8.self)
        self.stream.pointee.avail_out = UInt32(roomByteCount)
        let status = CZlib.deflate(self.stream, Z_SYNC_FLUSH)
        let byteCount = roomByteCount - Int(self.stream.pointee.avail_out) - 4
        guard status == Z_OK, self.stream.pointee.avail_in == 0, self.stream.pointee.avail_out > 0,
            byteCount < message.count
        else {
            return false
        }
        buffer.append(contentsOf: UnsafeRawBufferPointer(rebasing: self.storage[..<byteCount]))
        return true
    }

    private func resize(to byteCount: Int) {
        self.storage.deallocate()
        self.storage = .allocate(byteCount: byteCount, alignment: 16)
    }
}
