public import Bytes
internal import CZlib

/// Deflates messages for permessage-deflate (RFC 7692 section 7.2.1), each on its own, at zlib's fastest level.
///
/// One serves a whole loop, and what it makes can be sent to every connection that agreed on `server_no_context_takeover`.
public final class Deflater {
    /// Shorter messages hardly shrink: at 255 bytes to three quarters, for 4 µs.
    public static let minimumByteCount = 256

    // At an address of its own: zlib remembers it.
    private let stream: UnsafeMutablePointer<z_stream>
    private var storage: UnsafeMutableRawBufferPointer

    /// What is kept between messages; more is given back.
    private static let retainedByteCount = 64 << 10

    public init() {
        self.stream = .allocate(capacity: 1)
        self.stream.initialize(to: z_stream())
        self.storage = .allocate(byteCount: Self.retainedByteCount, alignment: 16)
        // Negative window bits: no zlib header around it.
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

    /// Appends the deflated message to `buffer`, unless it is short or would not become smaller: then it appends nothing.
    ///
    /// - Returns: whether it was deflated; the frame must say so (`isCompressed`).
    public func deflate(_ message: UnsafeRawBufferPointer, into buffer: inout ByteBuffer) -> Bool {
        guard message.count >= Self.minimumByteCount, message.count <= Int(Int32.max),
            let base = message.baseAddress
        else { return false }
        // The flush ends with four bytes that are taken off again; zlib says that it is done by leaving room.
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
