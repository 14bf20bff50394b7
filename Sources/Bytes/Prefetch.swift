public import CPrefetch

/// Asks the processor for memory that is needed in a moment, so that it waits for many places at once and not for one
/// after the other: with a hundred thousand conversations nearly nothing of the next one is in its cache.
///
/// It never fails and changes nothing: a place that is not there is passed over.
public enum Prefetch {
    /// The first bytes of an element of an array, and the array's own count.
    @inlinable
    @inline(__always)
    public static func element<Element>(
        _ place: Int, of array: borrowing [Element], bytes: Int = MemoryLayout<Element>.stride
    ) {
        // Not `withUnsafeBufferPointer`, which reads the count first and so waits for what is to be fetched.
        let storage = unsafeBitCast(copy array, to: UnsafeRawPointer.self)
        confab_prefetch(storage)
        // Wrapping: a place that cannot be is no reason to stop.
        let address = storage + (Self.headerBytes &+ place &* MemoryLayout<Element>.stride)
        var offset = 0
        while offset < bytes {
            confab_prefetch(address + offset)
            offset += Self.lineBytes
        }
        // The last byte's line, where the first does not stand at a line's beginning.
        confab_prefetch(address + bytes - 1)
    }

    @usableFromInline static var lineBytes: Int { 64 }
    /// What stands before an array's first element: the object's header, count and capacity.
    @usableFromInline static var headerBytes: Int { 32 }
}
