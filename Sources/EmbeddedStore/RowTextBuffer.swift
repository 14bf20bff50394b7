import Bytes

/// Holds one row's texts in a fixed place while SQLite takes them: short Swift strings have no address of their own.
///
/// Used again for every row.
final class RowTextBuffer {
    private var storage: UnsafeMutableRawBufferPointer
    private var used = 0

    init() {
        self.storage = .allocate(byteCount: 4096, alignment: 8)
    }

    deinit {
        self.storage.deallocate()
    }

    /// Begins a row whose texts have this many bytes together.
    func begin(byteCount: Int) {
        self.used = 0
        guard byteCount > self.storage.count else { return }
        self.storage.deallocate()
        self.storage = .allocate(byteCount: byteCount * 2, alignment: 8)
    }

    /// The text's UTF-8, until the next row begins.
    func copy(_ text: String) -> UnsafeRawBufferPointer {
        ByteString(text).withBytes { self.copy(UnsafeRawBufferPointer($0)) }
    }

    func copy(_ bytes: [UInt8]) -> UnsafeRawBufferPointer {
        bytes.withUnsafeBytes { self.copy($0) }
    }

    private func copy(_ bytes: UnsafeRawBufferPointer) -> UnsafeRawBufferPointer {
        let place = UnsafeMutableRawBufferPointer(
            rebasing: self.storage[self.used..<self.used + bytes.count])
        place.copyMemory(from: bytes)
        self.used += bytes.count
        return UnsafeRawBufferPointer(place)
    }
}
