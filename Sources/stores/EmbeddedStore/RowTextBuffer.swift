import Bytes

/// A buffer for one row's texts while SQLite binds them; short Swift strings have no address. It is
/// reused for every row.
final class RowTextBuffer {
    private var storage: UnsafeMutableRawBufferPointer
    private var used = 0

    init() {
        self.storage = .allocate(byteCount: 4096, alignment: 8)
    }

    deinit {
        self.storage.deallocate()
    }

    /// Starts a row whose texts have this many bytes in total.
    func begin(byteCount: Int) {
        self.used = 0
        guard byteCount > self.storage.count else { return }
        self.storage.deallocate()
        self.storage = .allocate(byteCount: byteCount * 2, alignment: 8)
    }

    /// Copies the text's UTF-8 into the buffer. The bytes are valid until the next row starts.
    func copy(_ text: String) -> UnsafeRawBufferPointer {
        ByteString(text).withBytes { self.copy(UnsafeRawBufferPointer($0)) }
    }

    func copy(_ bytes: [UInt8]) -> UnsafeRawBufferPointer {
        bytes.withUnsafeBytes { self.copy($0) }
    }

    private func copy(_ bytes: UnsafeRawBufferPointer) -> UnsafeRawBufferPointer {
        let destination = UnsafeMutableRawBufferPointer(
            rebasing: self.storage[self.used..<self.used + bytes.count])
        destination.copyMemory(from: bytes)
        self.used += bytes.count
        return UnsafeRawBufferPointer(destination)
    }
}
