/// The mask of a client's frames (RFC 6455 section 5.3).
enum WebSocketMask {
    /// Applies or removes the mask in place. Returns whether the result is ASCII.
    ///
    /// - Parameter key: its first byte in memory is the lowest.
    @inline(__always)
    static func apply(_ key: UInt32, to bytes: UnsafeMutableRawBufferPointer) -> Bool {
        guard let base = bytes.baseAddress else { return true }
        let wideKey = UInt64(key) << 32 | UInt64(key)
        var combined: UInt64 = 0
        var offset = 0
        while offset &+ 8 <= bytes.count {
            let word =
                UInt64(littleEndian: base.loadUnaligned(fromByteOffset: offset, as: UInt64.self))
                ^ wideKey
            base.storeBytes(of: word.littleEndian, toByteOffset: offset, as: UInt64.self)
            combined |= word
            offset &+= 8
        }
        var shiftedKey = wideKey
        while offset < bytes.count {
            let byte =
                base.load(fromByteOffset: offset, as: UInt8.self)
                ^ UInt8(truncatingIfNeeded: shiftedKey)
            base.storeBytes(of: byte, toByteOffset: offset, as: UInt8.self)
            combined |= UInt64(byte)
            shiftedKey >>= 8
            offset &+= 1
        }
        return combined & 0x8080_8080_8080_8080 == 0
    }
}
