internal import Glibc

extension UnsafeRawBufferPointer {
    /// Where `text`, which is not empty, stands first; nil when it is not there.
    func firstOffset(_ text: StaticString) -> Int? {
        guard let base = self.baseAddress else { return nil }
        let length = text.utf8CodeUnitCount
        var place = 0
        while place + length <= self.count {
            guard
                let found = memchr(
                    base + place, Int32(text.utf8Start[0]), self.count - length + 1 - place)
            else { return nil }
            place = UnsafeRawPointer(found) - base
            if memcmp(base + place, text.utf8Start, length) == 0 { return place }
            place += 1
        }
        return nil
    }

    func contains(_ text: StaticString) -> Bool {
        self.firstOffset(text) != nil
    }
}
