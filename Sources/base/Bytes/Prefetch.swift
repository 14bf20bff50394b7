public import CPrefetch

/// Asks the processor to load memory that is needed soon.
///
/// Several loads then overlap instead of following one another. With a hundred thousand
/// conversations, almost nothing of the next one is in the processor's cache.
///
/// A prefetch never fails and changes nothing. The processor ignores an invalid address.
public enum Prefetch {
    /// Prefetches the first `bytes` bytes of an array element, and the array's own count.
    @inlinable
    @inline(__always)
    public static func element<Element>(
        _ index: Int, of array: borrowing [Element], bytes: Int = MemoryLayout<Element>.stride
    ) {
        // Not `withUnsafeBufferPointer`: it reads the count first and waits for the memory that
        // should be prefetched.
        let storage = unsafeBitCast(copy array, to: UnsafeRawPointer.self)
        confab_prefetch(storage)
        // Wrapping arithmetic: an index out of range must not trap here.
        let address = storage + (Self.headerBytes &+ index &* MemoryLayout<Element>.stride)
        var offset = 0
        while offset < bytes {
            confab_prefetch(address + offset)
            offset += Self.lineBytes
        }
        // The element may not start at the beginning of a cache line, so its last byte can be in
        // one more line.
        confab_prefetch(address + bytes - 1)
    }

    @usableFromInline static var lineBytes: Int { 64 }
    /// The bytes before an array's first element: object header, count and capacity.
    @usableFromInline static var headerBytes: Int { 32 }
}
