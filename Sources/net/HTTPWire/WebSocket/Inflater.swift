internal import CZlib

/// The reason why a message could not be decompressed.
public enum InflateError: Error, Sendable, Hashable {
    case malformed
    case tooBig
}

/// Decompresses messages of permessage-deflate (RFC 7692 section 7.2.2), each independently.
///
/// One inflater serves a whole loop, because no message may refer to the previous one
/// (`no_context_takeover`).
public final class Inflater {
    /// The decompressed message, valid until the next call.
    public var output: UnsafeRawBufferPointer {
        UnsafeRawBufferPointer(rebasing: self.storage[..<self.count])
    }

    // At a fixed address, because zlib stores it.
    private let stream: UnsafeMutablePointer<z_stream>
    private var storage: UnsafeMutableRawBufferPointer
    private var count = 0

    private static let initialByteCount = 16 << 10
    /// A larger buffer is released before the next message.
    private static let retainedByteCount = 256 << 10

    public init() {
        self.stream = .allocate(capacity: 1)
        self.stream.initialize(to: z_stream())
        self.storage = .allocate(byteCount: Self.initialByteCount, alignment: 16)
        // Negative window bits: no zlib header.
        let status = inflateInit2_(
            self.stream, -15, ZLIB_VERSION, Int32(MemoryLayout<z_stream>.size))
        precondition(status == Z_OK, "zlib cannot begin to inflate: \(status).")
    }

    deinit {
        inflateEnd(self.stream)
        self.stream.deallocate()
        self.storage.deallocate()
    }

    /// Decompresses one message into `output`.
    ///
    /// - Parameter byteLimit: the maximum length of the output. Decompression stops there,
    ///   regardless of how much would follow.
    public func inflate(_ message: UnsafeRawBufferPointer, byteLimit: Int) throws(InflateError) {
        self.count = 0
        if self.storage.count > Self.retainedByteCount { self.resize(to: Self.initialByteCount) }
        if message.isEmpty { return }
        inflateReset(self.stream)
        do throws(InflateError) {
            try self.feed(message, byteLimit)
            // The sender removed these bytes from the end (section 7.2.1).
            let tail: (UInt8, UInt8, UInt8, UInt8) = (0x00, 0x00, 0xFF, 0xFF)
            let messageByteCount = self.count
            try withUnsafeBytes(of: tail) { bytes throws(InflateError) in
                try self.feed(bytes, byteLimit)
            }
            // Bit 7 is set between two blocks. If the message was truncated, zlib reads the tail as
            // data.
            guard self.stream.pointee.data_type & 128 != 0, self.count == messageByteCount else {
                throw .malformed
            }
        } catch {
            self.count = 0
            throw error
        }
    }

    private func feed(_ input: UnsafeRawBufferPointer, _ byteLimit: Int) throws(InflateError) {
        guard let base = input.baseAddress, input.count <= Int(UInt32.max) else { throw .malformed }
        self.stream.pointee.next_in = UnsafeMutablePointer(
            mutating: base.assumingMemoryBound(to: UInt8.self))
        self.stream.pointee.avail_in = UInt32(input.count)
        while true {
            // One byte more than the limit, to detect that the limit is exceeded.
            if self.count == self.storage.count {
                self.resize(to: max(self.count + 1, min(self.count * 2, byteLimit + 1)))
            }
            self.stream.pointee.next_out = self.storage.baseAddress?.advanced(by: self.count)
                .assumingMemoryBound(to: UInt8.self)
            self.stream.pointee.avail_out = UInt32(self.storage.count - self.count)
            let status = CZlib.inflate(self.stream, Z_SYNC_FLUSH)
            self.count = self.storage.count - Int(self.stream.pointee.avail_out)
            guard self.count <= byteLimit else { throw .tooBig }
            switch status {
            case Z_STREAM_END:
                // A sender may set the final bit of a block (section 7.2.3.4). A new stream may
                // follow.
                inflateReset(self.stream)
                if self.stream.pointee.avail_in == 0 { return }
            case Z_OK, Z_BUF_ERROR:
                // Free space in the buffer means that there is no more output.
                if self.stream.pointee.avail_out > 0 {
                    guard self.stream.pointee.avail_in == 0 else { throw .malformed }
                    return
                }
            default:
                throw .malformed
            }
        }
    }

    private func resize(to byteCount: Int) {
        let newStorage = UnsafeMutableRawBufferPointer.allocate(byteCount: byteCount, alignment: 16)
        newStorage.copyMemory(from: UnsafeRawBufferPointer(rebasing: self.storage[..<self.count]))
        self.storage.deallocate()
        self.storage = newStorage
    }
}
