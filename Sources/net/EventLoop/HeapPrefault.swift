import Glibc

/// Prefaults memory at the end of a thread's heap before it is needed.
///
/// glibc grows the heap of every thread except the first by one page at a time. Each page costs a
/// system call and a page fault. Together they cost a node that retains messages 1 to 2 % of its
/// time.
struct HeapPrefault {
    /// Less than 128 KiB: from that size on, malloc uses mmap, and free returns memory at the end
    /// of the heap to the kernel (mallopt(3)).
    private static let byteCount = 96 << 10
    private static let pageBytes = 4096

    private var lastAddress = 0

    /// Call it several times per second, on the thread that owns the heap.
    mutating func run() {
        guard let block = malloc(Self.byteCount) else { return }
        defer { free(block) }
        let first = (Int(bitPattern: block) + Self.pageBytes - 1) & -Self.pageBytes
        // Most of this memory was prefaulted by the last call.
        guard abs(first - self.lastAddress) >= Self.byteCount / 4 else { return }
        self.lastAddress = first
        // An older kernel does not know this advice. It allocates the pages on first access.
        _ = madvise(
            UnsafeMutableRawPointer(bitPattern: first), Self.byteCount - Self.pageBytes,
            Self.madvisePopulateWrite)
    }

    /// MADV_POPULATE_WRITE of <linux/mman.h>, since Linux 5.14.
    private static let madvisePopulateWrite: Int32 = 23
}
