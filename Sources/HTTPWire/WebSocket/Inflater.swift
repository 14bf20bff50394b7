internal import CZlib

/// Why a message could not be inflated.
public enum InflateError: Error, Sendable, Hashable {
    case malformed
    case tooBig
}

/// Inflates messages of permessage-deflate (RFC 7692 section 7.2.2), each on its own.
///
/// One serves a whole loop, because no message may refer to the one before (`no_context_takeover`).
public final class Inflater {
    /// What the last message was inflated to; good until the next one.
    public var output: UnsafeRawBufferPointer {
        UnsafeRawBufferPointer(rebasing: self.storage[..<self.count])
    }

    // At an address of its own: zlib remembers it.
    private let stream: UnsafeMutablePointer<z_stream>
    private var storage: UnsafeMutableRawBufferPointer
    private var count = 0

    private static let initialByteCount = 16 << 10
    /// What is kept between messages; more is given back.
    private static let retainedByteCount = 256 << 10

    public init() {
        self.stream = .allocate(capacity: 1)
        self.stream.initialize(to: z_stream())
        self.storage = .allocate(byteCount: Self.initialByteCount, alignment: 16)
        // Negative window bits: no zlib header around it.
        let status = inflateInit2_(
            self.stream, -15, ZLIB_VERSION, Int32(MemoryLayout<z_stream>.size))
        precondition(status == Z_OK, "zlib cannot begin to inflate: \(status).")
    }

    deinit {
        inflateEnd(self.stream)
        self.stream.deallocate()
        self.storage.deallocate()
    }

    /// Inflates one message into `output`.
    ///
    /// - Parameter byteLimit: what comes out may not have more bytes. It stops there, however much more there would be.
    public func inflate(_ message: UnsafeRawBufferPointer, byteLimit: Int) throws(InflateError) {
        self.count = 0
        if self.storage.count > Self.retainedByteCount { self.resize(to: Self.initialByteCount) }
        if message.isEmpty { return }
        inflateReset(self.stream)
        do throws(InflateError) {
            try self.feed(message, byteLimit)
            // What the sender took off the end.
            let tail: (UInt8, UInt8, UInt8, UInt8) = (0x00, 0x00, 0xFF, 0xFF)
            let messageByteCount = self.count
            try withUnsafeBytes(of: tail) { bytes throws(InflateError) in
                try self.feed(bytes, byteLimit)
            }
            // Bit 7 is set between two blocks. Where the message was cut off, the tail is read as something else.
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
            // One byte more than allowed, to see whether there is one.
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
                // A sender may end its blocks for good (section 7.2.3.4); what follows begins anew.
                inflateReset(self.stream)
                if self.stream.pointee.avail_in == 0 { return }
            case Z_OK, Z_BUF_ERROR:
                // Room left over means that there was nothing more to write.
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
        let room = UnsafeMutableRawBufferPointer.allocate(byteCount: byteCount, alignment: 16)
        room.copyMemory(from: UnsafeRawBufferPointer(rebasing: self.storage[..<self.count]))
        self.storage.deallocate()
        self.storage = room
    }
}
