internal import Glibc

extension UnsafeRawBufferPointer {
    /// The offset of the first occurrence of `text`, which must not be empty; nil when there is
    /// none.
    func firstOffset(_ text: StaticString) -> Int? {
        guard let base = self.baseAddress else { return nil }
        let length = text.utf8CodeUnitCount
        var offset = 0
        while offset + length <= self.count {
            guard
                let found = memchr(
                    base + offset, Int32(text.utf8Start[0]), self.count - length + 1 - offset)
            else { return nil }
            offset = UnsafeRawPointer(found) - base
            if memcmp(base + offset, text.utf8Start, length) == 0 { return offset }
            offset += 1
        }
        return nil
    }

    func contains(_ text: StaticString) -> Bool {
        self.firstOffset(text) != nil
    }
}
