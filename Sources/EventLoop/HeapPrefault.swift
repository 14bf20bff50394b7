import Glibc

/// Room at the end of a thread's heap, fetched from the kernel before it is needed.
///
/// glibc lets the heap of a thread other than the first grow by a page at a time: a call of the kernel for each, and an interruption
/// when it is first touched, which together cost a node that keeps what it hears one to two hundredths of its time.
struct HeapPrefault {
    /// Less than what the allocator maps by itself, and than what it gives back to the kernel when it is free (128 KiB each; mallopt(3)).
    private static let byteCount = 96 << 10
    private static let pageBytes = 4096

    private var lastAddress = 0

    /// To be called some times a second, on the thread whose heap it is.
    mutating func run() {
        guard let room = malloc(Self.byteCount) else { return }
        defer { free(room) }
        let first = (Int(bitPattern: room) + Self.pageBytes - 1) & -Self.pageBytes
        // Most of it is there from the last time.
        guard abs(first - self.lastAddress) >= Self.byteCount / 4 else { return }
        self.lastAddress = first
        // What an older kernel does not know it does when the page is touched.
        _ = madvise(
            UnsafeMutableRawPointer(bitPattern: first), Self.byteCount - Self.pageBytes,
            Self.madvisePopulateWrite)
    }

    /// Of <linux/mman.h>, since Linux 5.14.
    private static let madvisePopulateWrite: Int32 = 23
}
